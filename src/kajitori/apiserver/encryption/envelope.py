"""Values under a key that a KMS plugin keeps (KMS v2, KEP-3299): pure, and in upstream's format.

A seed is made here, encrypted by the plugin, and stored with every value as the plugin returned it. Each value has a
key of its own, expanded from the seed with 32 random bytes that stand before the nonce, so that no nonce ever meets a
key twice. Values of an older scheme, whose seed was the key itself, are read too.
"""

import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError

from kajitori.apiserver.encryption.kms_api import api_pb2 as api
from kajitori.apiserver.encryption.providers import WrongKey

SEED_BYTES = 32
_INFO_BYTES, _NONCE_BYTES = 32, 12
_KEY_ID_BYTES_MAX, _SOURCE_BYTES_MAX, _ANNOTATIONS_BYTES_MAX = 1024, 1024, 32 * 1024
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A seed as only the plugin can read it. `direct`: it is no seed but the key of its values."""

    key_id: str
    source: bytes
    annotations: tuple[tuple[str, bytes], ...] = ()
    direct: bool = False

    def fault(self) -> str:
        """What is wrong with it; "" when nothing is."""
        if fault := key_id_fault(self.key_id):
            return fault
        if not 0 < len(self.source) <= _SOURCE_BYTES_MAX:
            return f"the encrypted seed has {len(self.source)} bytes, allowed are 1 to {_SOURCE_BYTES_MAX}"
        size = sum(len(name.encode()) + len(value) for name, value in self.annotations)
        if size > _ANNOTATIONS_BYTES_MAX:
            return f"the annotations have {size} bytes, allowed are {_ANNOTATIONS_BYTES_MAX}"
        bad = [name for name, _ in self.annotations if len(name) > 253 or not _DOMAIN.fullmatch(name)]
        return f"the annotation {bad[0]!r} is no fully qualified domain name" if bad else ""


def key_id_fault(key_id: str) -> str:
    if not key_id:
        return "the key id is empty"
    size = len(key_id.encode())
    return f"the key id has {size} bytes, allowed are {_KEY_ID_BYTES_MAX}" if size > _KEY_ID_BYTES_MAX else ""


def wrapped(key_id: str, source: bytes, annotations: Mapping[str, bytes], direct: bool = False) -> Wrapped:
    return Wrapped(key_id, source, tuple(sorted(annotations.items())), direct)


def packed(wrap: Wrapped, data: bytes) -> bytes:
    """What is stored."""
    kind = api.AES_GCM_KEY if wrap.direct else api.HKDF_SHA256_XNONCE_AES_GCM_SEED
    envelope = api.EncryptedObject(
        encrypted_data=data,
        key_id=wrap.key_id,
        encrypted_dek_source=wrap.source,
        annotations=dict(wrap.annotations),
        encrypted_dek_source_type=kind,
    )
    return bytes(envelope.SerializeToString(deterministic=True))


def unpacked(stored: bytes) -> tuple[Wrapped, bytes]:
    """Raises WrongKey for what is no envelope."""
    try:
        found = api.EncryptedObject.FromString(stored)
    except DecodeError as error:
        raise WrongKey("the value is not whole") from error
    if found.encrypted_dek_source_type not in (api.AES_GCM_KEY, api.HKDF_SHA256_XNONCE_AES_GCM_SEED):
        raise WrongKey(f"its seed is of a kind that is not known ({found.encrypted_dek_source_type})")
    direct = found.encrypted_dek_source_type == api.AES_GCM_KEY
    wrap = wrapped(found.key_id, found.encrypted_dek_source, found.annotations, direct)
    if fault := wrap.fault():
        raise WrongKey(fault)
    return wrap, found.encrypted_data


class Seed:
    """What the values of one wrapped seed are encrypted with."""

    def __init__(self, secret: bytes, *, direct: bool = False) -> None:
        """Raises WrongKey for a secret of a length that none can have."""
        if len(secret) not in (16, 24, 32) if direct else len(secret) < SEED_BYTES:
            raise WrongKey(f"the plugin gave a seed of {len(secret)} bytes")
        self._secret = secret
        self._direct = direct

    @staticmethod
    def new_secret() -> bytes:
        return os.urandom(SEED_BYTES)

    def seal(self, value: bytes, place: bytes) -> bytes:
        assert not self._direct, "new values have keys of their own"
        info, nonce = os.urandom(_INFO_BYTES), os.urandom(_NONCE_BYTES)
        return info + nonce + self._cipher(info).encrypt(nonce, value, place)

    def open(self, data: bytes, place: bytes) -> bytes:
        """Raises WrongKey."""
        info, rest = (b"", data) if self._direct else (data[:_INFO_BYTES], data[_INFO_BYTES:])
        try:
            return self._cipher(info).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError) as error:
            raise WrongKey("the authentication tag is wrong") from error

    def _cipher(self, info: bytes) -> AESGCM:
        """HKDF's second half (RFC 5869, 2.3) for 32 bytes with SHA-256: one block."""
        return AESGCM(self._secret if self._direct else hmac.digest(self._secret, info + b"\x01", "sha256"))
