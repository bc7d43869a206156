"""Why a connection did not come about, in Go's words: clients compare them, and people look for them."""

import errno
import os
import socket
import ssl

from kajitori.client.connection import Address
from kajitori.client.interface import Disconnected

_UNTRUSTED = "certificate signed by unknown authority"
_CERTIFICATES = {18: _UNTRUSTED, 19: _UNTRUSTED, 20: _UNTRUSTED, 21: _UNTRUSTED}
"""OpenSSL's numbers: self-signed, self-signed in the chain, no issuer at hand, no signature to verify."""
_OF_CONNECT = frozenset((errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.EACCES))


def dial_words(address: Address, error: BaseException) -> str:
    """`error` as the operating system raised it, or a Disconnected that it caused."""
    cause = error.__cause__ if isinstance(error, Disconnected) and error.__cause__ is not None else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = _CERTIFICATES.get(cause.verify_code, cause.verify_message)
        return f"tls: failed to verify certificate: x509: {why}"
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {address.host}: no such host"
    if isinstance(cause, OSError) and cause.errno in _OF_CONNECT:
        return f"dial tcp {address}: connect: {os.strerror(cause.errno).lower()}"
    if isinstance(cause, TimeoutError):
        return f"dial tcp {address}: i/o timeout"
    return str(error) or type(error).__name__
