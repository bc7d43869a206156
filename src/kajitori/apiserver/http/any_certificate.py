"""Let clients in whose certificate nobody vouches for: without a verified chain, which is what authentication believes.

Upstream asks for a certificate, goes on whatever it gets, and answers 401 where it proves nothing. OpenSSL has a hook
for that (SSL_CTX_set_cert_verify_callback); Python's ssl has no name for it, so it is called through ctypes. The hook
can only take away: it runs OpenSSL's own verification, and where that fails drops the chain. Where the hook cannot be
set, such a certificate ends the handshake.
"""

import _ssl
import ctypes
import logging
import ssl
import sys
from functools import cache
from typing import Any

log = logging.getLogger("kajitori.http")

_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_CONTEXT_IS_FIRST = ((3, 11), (3, 12), (3, 13), (3, 14))
"""Versions of CPython in which an SSLContext begins with its SSL_CTX, right after what every object begins with."""
_SET_SESSION_CACHE_MODE, _CACHE_OFF = 44, 0


def admit_any_certificate(context: ssl.SSLContext) -> bool:
    """Whether it could be told. No session is resumed by its number either: it would come without its chain."""
    library = _library()
    if library is None:
        return False
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if library.SSL_CTX_get_options(pointer) != int(context.options):
        return False
    library.SSL_CTX_ctrl(pointer, _SET_SESSION_CACHE_MODE, _CACHE_OFF, None)
    library.SSL_CTX_set_cert_verify_callback(pointer, _HOOK, None)
    return True


def _verify(store: int, _: int) -> int:
    """1 goes on with the handshake, 0 ends it; ctypes answers 0 for whatever is raised here."""
    library = _library()
    if library is None:
        return 0
    if library.X509_verify_cert(store) != 1:
        library.X509_STORE_CTX_set0_verified_chain(store, None)
    return 1


_HOOK = _Verify(_verify)
"""As C calls it; here for as long as any context may."""


@cache
def _library() -> Any:
    """The OpenSSL that `ssl` itself uses; None where it cannot be reached."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in _CONTEXT_IS_FIRST:
        return None
    try:
        library = ctypes.CDLL(_ssl.__file__)
        pointer, number = ctypes.c_void_p, ctypes.c_int
        library.SSL_CTX_get_options.argtypes, library.SSL_CTX_get_options.restype = [pointer], ctypes.c_uint64
        library.SSL_CTX_ctrl.argtypes = [pointer, number, ctypes.c_long, pointer]
        library.SSL_CTX_set_cert_verify_callback.argtypes = [pointer, _Verify, pointer]
        library.X509_verify_cert.argtypes, library.X509_verify_cert.restype = [pointer], number
        library.X509_STORE_CTX_set0_verified_chain.argtypes = [pointer, pointer]
    except (AttributeError, OSError) as error:
        log.info("client certificates of unknown authorities end the handshake here, instead of a 401: %s", error)
        return None
    return library
