"""The providers of an EncryptionConfiguration: each turns a value into bytes that begin with its prefix, and back.

Formats are upstream's, so that a store can be moved: `k8s:enc:aescbc:v1:<key>:` + 16 bytes IV + AES-CBC with PKCS#7,
`k8s:enc:aesgcm:v1:<key>:` + 12 bytes nonce + AES-GCM (the record's key in the store is authenticated too),
`k8s:enc:secretbox:v1:<key>:` + 24 bytes nonce + XSalsa20-Poly1305. Those of `kms` are in `envelope.py`.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kajitori.apiserver.documents import SEALED


class WrongKey(Exception):
    """A value was not made with this key, or was damaged."""


class CannotSeal(Exception):
    """Nothing can be encrypted now; the message names the provider, the reason and the remedy."""


class Locked(Exception):
    """A value can be opened after `unlock`, which asks elsewhere for the key and raises WrongKey."""

    def __init__(self, unlock: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.unlock = unlock


class Provider(Protocol):
    @property
    def prefix(self) -> bytes:
        """How its values begin; empty for identity."""

    def seal(self, value: bytes, place: bytes) -> bytes:
        """Raises CannotSeal."""

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """`sealed` is what follows the prefix. Raises WrongKey, Locked."""

    def is_current(self, sealed: bytes) -> bool:
        """Whether what follows the prefix was encrypted with what is encrypted with now."""


class _OneKey:
    """The prefix tells the key."""

    def is_current(self, sealed: bytes) -> bool:
        return True


class Identity(_OneKey):
    prefix = b""

    def seal(self, value: bytes, place: bytes) -> bytes:
        return value

    def open(self, sealed: bytes, place: bytes) -> bytes:
        return sealed


class AesCbc(_OneKey):
    """Not authenticated: a bit flipped in the store may go unnoticed. Upstream recommends aesgcm or secretbox."""

    KEY_BYTES = (16, 24, 32)

    def __init__(self, name: str, key: bytes) -> None:
        self.prefix = SEALED + f"aescbc:v1:{name}:".encode()
        self._key = algorithms.AES(key)

    def seal(self, value: bytes, place: bytes) -> bytes:
        iv, padder = os.urandom(16), padding.PKCS7(128).padder()
        encryptor = Cipher(self._key, modes.CBC(iv)).encryptor()
        return iv + encryptor.update(padder.update(value) + padder.finalize()) + encryptor.finalize()

    def open(self, sealed: bytes, place: bytes) -> bytes:
        if len(sealed) < 32 or len(sealed) % 16:
            raise WrongKey("the value is not whole")
        decryptor, unpadder = Cipher(self._key, modes.CBC(sealed[:16])).decryptor(), padding.PKCS7(128).unpadder()
        try:
            return unpadder.update(decryptor.update(sealed[16:]) + decryptor.finalize()) + unpadder.finalize()
        except ValueError as error:
            raise WrongKey("the padding is wrong") from error


class AesGcm(_OneKey):
    """Random nonces: rotate the key before 200,000 writes, as upstream says."""

    KEY_BYTES = (16, 24, 32)

    def __init__(self, name: str, key: bytes) -> None:
        self.prefix = SEALED + f"aesgcm:v1:{name}:".encode()
        self._cipher = AESGCM(key)

    def seal(self, value: bytes, place: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, value, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], place)
        except (InvalidTag, ValueError) as error:
            raise WrongKey("the authentication tag is wrong") from error


class SecretBox(_OneKey):
    KEY_BYTES = (32,)

    def __init__(self, name: str, key: bytes) -> None:
        """Raises ImportError without PyNaCl."""
        import nacl.secret

        self.prefix = SEALED + f"secretbox:v1:{name}:".encode()
        self._box = nacl.secret.SecretBox(key)

    def seal(self, value: bytes, place: bytes) -> bytes:
        return bytes(self._box.encrypt(value))

    def open(self, sealed: bytes, place: bytes) -> bytes:
        import nacl.exceptions

        try:
            return bytes(self._box.decrypt(sealed))
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise WrongKey("the authentication tag is wrong") from error


KEYED: dict[str, type[AesCbc] | type[AesGcm] | type[SecretBox]] = {
    "aescbc": AesCbc,
    "aesgcm": AesGcm,
    "secretbox": SecretBox,
}
