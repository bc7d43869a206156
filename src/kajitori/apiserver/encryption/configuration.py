"""EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are encrypted, with what."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration, Section
from kajitori.apiserver.documents import SEALED
from kajitori.apiserver.encryption.providers import KEYED, Identity, Provider, WrongKey

_CORE = "core"


class Unreadable(Exception):
    """A stored value that none of the configured keys opens; the message names record, key and remedy."""


@dataclass(frozen=True, slots=True)
class Transformer:
    """The providers for some resources: the first one writes, each of them reads."""

    file: Path
    providers: tuple[Provider, ...]

    def seal(self, value: bytes, place: str) -> bytes:
        first = self.providers[0]
        return first.prefix + first.seal(value, place.encode())

    def open(self, stored: bytes, place: str) -> bytes:
        """Raises Unreadable."""
        failure = ""
        for provider in self.providers:
            if not stored.startswith(provider.prefix) or (not provider.prefix and is_sealed(stored)):
                continue
            try:
                return provider.open(stored[len(provider.prefix) :], place.encode())
            except WrongKey as error:
                failure = str(error)
        raise Unreadable(
            f"{place} was encrypted with {sealed_with(stored)} and {self.file} cannot decrypt it"
            f"{f' ({failure})' if failure else ''}: put that key back into the file (as a second key, if it is retired)"
        )

    def is_stale(self, stored: bytes) -> bool:
        """Whether a write of the same value would store it otherwise."""
        prefix = self.providers[0].prefix
        return not stored.startswith(prefix) if prefix else is_sealed(stored)


def is_sealed(stored: bytes) -> bool:
    return stored.startswith(SEALED)


def sealed_with(stored: bytes) -> str:
    """`aescbc, key "key1"`; for messages."""
    parts = stored[:300].split(b":", 5)
    if not is_sealed(stored) or len(parts) < 5:
        return "nothing (plain text, which the provider identity reads)"
    return f'{parts[2].decode(errors="replace")}, key "{parts[4].decode(errors="replace")}",'


@dataclass(frozen=True, slots=True)
class Encryption:
    """Entries of resource patterns in the order of the file: the first that fits a resource decides."""

    entries: tuple[tuple[tuple[str, ...], Transformer], ...]

    def transformer_of(self, group: str, plural: str) -> Transformer | None:
        """`group` is "core" for the core group. None: stored as it is."""
        group = "" if group == _CORE else group
        named = f"{plural}.{group}" if group else plural
        for patterns, transformer in self.entries:
            if named in patterns or f"*.{group}" in patterns or "*.*" in patterns:
                return transformer
        return None


def read_encryption(path: Path) -> Encryption:
    """Raises BadConfiguration."""
    top = Section.load(path, "EncryptionConfiguration", "apiserver.config.k8s.io", ("v1",))
    top.only("apiVersion", "kind", "resources")
    entries = []
    for section in top.sections("resources"):
        patterns = section.only("resources", "providers").texts("resources")
        if not patterns:
            raise section.error("resources", "required: at least one resource, like secrets")
        for pattern in patterns:
            _check_pattern(section, pattern)
        providers = tuple(found for entry in section.sections("providers") for found in _providers(entry))
        if not providers:
            raise section.error("providers", "required: at least one")
        entries.append((patterns, Transformer(path, providers)))
    if not entries:
        raise top.error("resources", "required: at least one entry")
    return Encryption(tuple(entries))


def _check_pattern(section: Section, pattern: str) -> None:
    if pattern == "*":
        raise section.error("resources", "'*': write '*.*' for all resources, '*.' for those of the core group")
    if pattern != pattern.lower():
        raise section.error("resources", f"{pattern!r}: must be in lower case, like secrets or deployments.apps")
    if "*" in pattern and not pattern.startswith("*."):
        raise section.error("resources", f"{pattern!r}: a star stands alone before the group, like *.apps")


def _providers(section: Section) -> Sequence[Provider]:
    section.only("identity", "kms", *KEYED)
    if len(section.fields) != 1:
        raise section.error("", f"must have exactly one of {', '.join(('identity', *KEYED))}")
    (kind,) = section.fields
    if kind == "identity":
        return [Identity()]
    if kind == "kms":
        raise section.error("kms", f"is not implemented; use {', '.join(KEYED)}")
    keys = list(section.section(kind).only("keys").sections("keys"))
    if not keys:
        raise section.error(kind, "needs keys: at least one")
    return [_keyed(kind, key) for key in keys]


def _keyed(kind: str, section: Section) -> Provider:
    name = section.only("name", "secret").text("name", required=True)
    if ":" in name:
        raise section.error("name", f"{name!r}: must hold no colon")
    provider = KEYED[kind]
    try:
        key = base64.b64decode(section.text("secret", required=True), validate=True)
    except binascii.Error:
        raise section.error("secret", "is not base64: make one with `head -c 32 /dev/urandom | base64`") from None
    if len(key) not in provider.KEY_BYTES:
        sizes = " or ".join(map(str, provider.KEY_BYTES))
        raise section.error("secret", f"has {len(key)} bytes, {kind} needs {sizes}: `head -c 32 /dev/urandom | base64`")
    try:
        return provider(name, key)
    except ImportError as error:
        raise BadConfiguration(
            f"{section.file}: {section.place}: {kind} needs a package: pip install 'kajitori[secretbox]'"
        ) from error
