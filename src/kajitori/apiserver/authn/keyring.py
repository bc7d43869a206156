"""Keys of service account tokens: one signs, all verify, so that a new key can take over while old tokens live on."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kajitori.api.meta import Object
from kajitori.apiserver.configuration import BadConfiguration, read_file

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class VerifyingKey:
    """A public key and its id: the SHA-256 of the key in DER, as upstream names keys."""

    def __init__(self, public: Any) -> None:
        if not isinstance(public, PublicKey):
            raise ValueError("a key of service account tokens must be an RSA or EC key")
        self.public = public
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        if isinstance(public, rsa.RSAPublicKey):
            self.algorithm = "RS256"
        elif public.curve.name in _CURVES:
            self.algorithm = _CURVES[public.curve.name]
        else:
            raise ValueError(f"the curve {public.curve.name} does not sign tokens; use P-256, P-384 or P-521")

    def jwk(self) -> Object:
        """The public key as RFC 7517 writes it."""
        from jwt.algorithms import ECAlgorithm, RSAAlgorithm

        public = self.public
        shown = (
            RSAAlgorithm.to_jwk(public, as_dict=True)
            if isinstance(public, rsa.RSAPublicKey)
            else ECAlgorithm.to_jwk(public, as_dict=True)
        )
        shown.pop("key_ops", None)
        return {"use": "sig", "kid": self.id, "alg": self.algorithm, **shown}


class SigningKey(VerifyingKey):
    """A private key, PEM. Raises ValueError."""

    def __init__(self, private_key: bytes) -> None:
        key = serialization.load_pem_private_key(private_key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("a key of service account tokens must be an RSA or EC key")
        super().__init__(key.public_key())
        self.private = key


class Keyring:
    """The verifying keys by id."""

    def __init__(self, keys: Sequence[VerifyingKey]) -> None:
        self._by_id = {key.id: key for key in keys}

    def __iter__(self) -> Iterator[VerifyingKey]:
        return iter(self._by_id.values())

    def candidates(self, key_id: object) -> list[VerifyingKey]:
        """The key that a token names, or every one when it names none that is known."""
        found = self._by_id.get(key_id) if isinstance(key_id, str) else None
        return [found] if found is not None else list(self._by_id.values())


def read_signing_key(path: Path) -> SigningKey:
    """Raises BadConfiguration."""
    try:
        return SigningKey(read_file(path))
    except (ValueError, TypeError) as error:
        raise BadConfiguration(f"{path}: no private key to sign tokens with ({error}): give a PEM file") from error


def read_verifying_keys(path: Path) -> list[VerifyingKey]:
    """Every key of a PEM file: public keys, certificates, or the public halves of private keys."""
    keys = []
    for block in _blocks(read_file(path)):
        try:
            keys.append(VerifyingKey(_public(block)))
        except (ValueError, TypeError) as error:
            raise BadConfiguration(f"{path}: key {len(keys) + 1}: {error}: give RSA or EC keys in PEM") from error
    if not keys:
        raise BadConfiguration(f"{path}: holds no PEM block: give RSA or EC public keys in PEM")
    return keys


def _public(block: bytes) -> Any:
    if b"CERTIFICATE" in block:
        return x509.load_pem_x509_certificate(block).public_key()
    if b"PRIVATE KEY" in block:
        return serialization.load_pem_private_key(block, password=None).public_key()
    return serialization.load_pem_public_key(block)


def _blocks(pem: bytes) -> Iterator[bytes]:
    lines: list[bytes] = []
    for line in pem.splitlines():
        if line.startswith(b"-----BEGIN"):
            lines = []
        lines.append(line)
        if line.startswith(b"-----END"):
            yield b"\n".join(lines)
            lines = []
