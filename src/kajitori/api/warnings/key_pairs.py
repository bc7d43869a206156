"""Whether certificate and private key of a TLS secret belong together. Imports cryptography: load it when needed."""

import base64
import binascii
import re

from cryptography import x509
from cryptography.hazmat.primitives import serialization

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\r?\n.*?\r?\n-----END \1-----", re.DOTALL)


def key_pair_problem(certificate: str, key: str) -> str:
    """Both as a secret holds them, in base64; what a TLS server would say of them, or nothing."""
    try:
        documents = base64.b64decode(certificate), base64.b64decode(key)
    except (binascii.Error, ValueError):
        return ""
    chain, keys = _blocks(documents[0]), _blocks(documents[1])
    first = next((block for kind, block in chain if kind == "CERTIFICATE"), None)
    if first is None:
        return _missing("certificate", 'failed to find "CERTIFICATE" PEM block in certificate input', chain)
    private = next((block for kind, block in keys if kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY")), None)
    if private is None:
        return _missing("key", 'failed to find PEM block with type ending in "PRIVATE KEY" in key input', keys)
    try:
        public = x509.load_pem_x509_certificate(first).public_key()
    except Exception:  # what cryptography raises for strange certificates is not one family
        return "x509: malformed certificate"
    try:
        own = serialization.load_pem_private_key(private, None).public_key()
    except Exception:
        return "tls: failed to parse private key"
    if type(own) is not type(public):
        return "tls: private key type does not match public key type"
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return "" if own.public_bytes(*form) == public.public_bytes(*form) else "tls: private key does not match public key"


def _blocks(document: bytes) -> list[tuple[str, bytes]]:
    return [(found[1].decode(), found[0]) for found in _BLOCK.finditer(document)]


def _missing(what: str, why: str, blocks: list[tuple[str, bytes]]) -> str:
    if not blocks:
        return f"tls: failed to find any PEM data in {what} input"
    kinds = " ".join(kind for kind, _ in blocks)
    if what == "certificate" and len(blocks) == 1 and kinds.endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs "
            "may have been switched"
        )
    if what == "key" and len(blocks) == 1 and kinds == "CERTIFICATE":
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return f"tls: {why} after skipping PEM blocks of the following types: [{kinds}]"
