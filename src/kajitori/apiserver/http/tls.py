"""The server's side of TLS."""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 or later. A client may show a certificate; one that `client_ca` did not sign, or that has expired, fails
    the handshake. Upstream answers 401 there: it verifies after the handshake, which Python's ssl cannot be told to do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context
