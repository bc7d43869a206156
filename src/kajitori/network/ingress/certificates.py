"""Certificates out of Secrets, as Envoy takes them (envoy.extensions.transport_sockets.tls.v3.Secret)."""

import base64
import binascii
import datetime
import hashlib
from typing import Any

from kajitori.api.meta import Object

Resource = dict[str, Any]


def certificate_resource(name: str, chain_pem: bytes, key_pem: bytes) -> Resource:
    certificate = {
        "certificate_chain": {"inline_bytes": base64.b64encode(chain_pem).decode()},
        "private_key": {"inline_bytes": base64.b64encode(key_pem).decode()},
    }
    return {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": name,
        "tls_certificate": certificate,
    }


def certificate_name(namespace: str, secret: str) -> str:
    """Unique, and fit for a file's name."""
    return f"{secret[:80]}-{hashlib.sha256(f'{namespace}/{secret}'.encode()).hexdigest()[:12]}"


def read_pair(secret: Object) -> tuple[bytes, bytes]:
    """Certificate chain and key in PEM; raises ValueError, saying why, when they are not a pair that can be served."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    data = secret.get("data") or {}
    try:
        chain, key = (base64.b64decode(data[part], validate=True) for part in ("tls.crt", "tls.key"))
    except KeyError as missing:
        raise ValueError(f"it has no {missing.args[0]}") from None
    except binascii.Error:
        raise ValueError("its data is not base64") from None
    certificates = x509.load_pem_x509_certificates(chain)
    private = serialization.load_pem_private_key(key, password=None)
    if private.public_key() != certificates[0].public_key():
        raise ValueError("tls.key is not the key of tls.crt")
    return chain, key


def self_signed(now_s: float) -> tuple[bytes, bytes]:
    """Chain and key in PEM for names that no Ingress has a certificate for. Ten years; no client trusts it anyway."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kajitori Ingress: no certificate for this name")])
    start = datetime.datetime.fromtimestamp(now_s, datetime.UTC) - datetime.timedelta(hours=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("kajitori.invalid")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(encoding), private
