"""EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are encrypted, with what."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration, Section
from kajitori.apiserver.documents import SEALED
from kajitori.apiserver.encryption.providers import KEYED, CannotSeal, Identity, Provider, WrongKey

_CORE = "core"
_KMS = SEALED + b"kms:v2:"


class Unreadable(Exception):
    """A stored value that none of the configured keys opens; the message names record, key and remedy."""


@dataclass(frozen=True, slots=True)
class KmsSettings:
    """A KMS plugin; `address` as gRPC writes it."""

    name: str
    address: str
    timeout_s: float

    @property
    def prefix(self) -> bytes:
        return _KMS + f"{self.name}:".encode()


class Planned:
    """Stands for a plugin while a file is only checked."""

    def __init__(self, settings: KmsSettings) -> None:
        self.prefix = settings.prefix

    def seal(self, value: bytes, place: bytes) -> bytes:
        raise CannotSeal("not connected")

    def open(self, sealed: bytes, place: bytes) -> bytes:
        raise WrongKey("not connected")

    def is_current(self, sealed: bytes) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Transformer:
    """The providers for some resources: the first one writes, each of them reads."""

    file: Path
    providers: tuple[Provider, ...]

    def seal(self, value: bytes, place: str) -> bytes:
        first = self.providers[0]
        return first.prefix + first.seal(value, place.encode())

    def open(self, stored: bytes, place: str) -> bytes:
        """Raises Unreadable, Locked."""
        failure = ""
        for provider in self.providers:
            if not stored.startswith(provider.prefix) or (not provider.prefix and is_sealed(stored)):
                continue
            try:
                return provider.open(stored[len(provider.prefix) :], place.encode())
            except WrongKey as error:
                failure = str(error)
        raise self.unreadable(stored, place, failure)

    def unreadable(self, stored: bytes, place: str, reason: str) -> Unreadable:
        kept = any(provider.prefix and stored.startswith(provider.prefix) for provider in self.providers)
        remedy = "put that key back into the file (as a second key, if it is retired)"
        if kept and stored.startswith(_KMS):
            remedy = "see that the plugin runs and still has the key"
        return Unreadable(
            f"{place} was encrypted with {sealed_with(stored)} and {self.file} cannot decrypt it"
            f"{f' ({reason})' if reason else ''}: {remedy}"
        )

    @property
    def writes_with(self) -> str:
        """The prefix by which upstream's figures name what is written."""
        return sealed_prefix(self.providers[0].prefix) if self.providers[0].prefix else ""

    def is_stale(self, stored: bytes) -> bool:
        """Whether a write of the same value would store it otherwise."""
        first = self.providers[0]
        if not first.prefix:
            return is_sealed(stored)
        return not stored.startswith(first.prefix) or not first.is_current(stored[len(first.prefix) :])


def is_sealed(stored: bytes) -> bool:
    return stored.startswith(SEALED)


def sealed_prefix(stored: bytes) -> str:
    """`k8s:enc:aescbc:v1:`, for a plugin its name too: how upstream's figures name a provider."""
    if not is_sealed(stored):
        return "identity"
    parts = stored[:300].split(b":", 5)
    named = parts[: 5 if parts[2:3] == [b"kms"] else 4]
    return b":".join((*named, b"")).decode(errors="replace")


def sealed_with(stored: bytes) -> str:
    """`aescbc, key "key1"`, `kms, plugin "vault"`; for messages."""
    parts = stored[:300].split(b":", 5)
    if not is_sealed(stored) or len(parts) < 5:
        return "nothing (plain text, which the provider identity reads)"
    kind = parts[2].decode(errors="replace")
    return f'{kind}, {"plugin" if kind == "kms" else "key"} "{parts[4].decode(errors="replace")}",'


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


def read_encryption(path: Path, kms: Callable[[KmsSettings], Provider] = Planned) -> Encryption:
    """`kms` makes a provider of what the file says of a plugin. Raises BadConfiguration."""
    top = Section.load(path, "EncryptionConfiguration", "apiserver.config.k8s.io", ("v1",))
    top.only("apiVersion", "kind", "resources")
    entries = []
    for section in top.sections("resources"):
        patterns = section.only("resources", "providers").texts("resources")
        if not patterns:
            raise section.error("resources", "required: at least one resource, like secrets")
        for pattern in patterns:
            _check_pattern(section, pattern)
        providers = tuple(found for entry in section.sections("providers") for found in _providers(entry, kms))
        if not providers:
            raise section.error("providers", "required: at least one")
        entries.append((patterns, Transformer(path, providers)))
    if not entries:
        raise top.error("resources", "required: at least one entry")
    _each_plugin_once(top, entries)
    return Encryption(tuple(entries))


def _each_plugin_once(top: Section, entries: Sequence[tuple[Sequence[str], Transformer]]) -> None:
    """By the prefix of what they store: two plugins of one name would read each other's values."""
    prefixes = [p.prefix for _, transformer in entries for p in transformer.providers if p.prefix.startswith(_KMS)]
    for prefix in prefixes:
        if prefixes.count(prefix) > 1:
            name = prefix[len(_KMS) : -1].decode()
            raise top.error("resources", f"the kms plugin {name!r} is named twice: give each entry a plugin of its own")


def _check_pattern(section: Section, pattern: str) -> None:
    if pattern == "*":
        raise section.error("resources", "'*': write '*.*' for all resources, '*.' for those of the core group")
    if pattern != pattern.lower():
        raise section.error("resources", f"{pattern!r}: must be in lower case, like secrets or deployments.apps")
    if "*" in pattern and not pattern.startswith("*."):
        raise section.error("resources", f"{pattern!r}: a star stands alone before the group, like *.apps")


def _providers(section: Section, kms: Callable[[KmsSettings], Provider]) -> Sequence[Provider]:
    section.only("identity", "kms", *KEYED)
    if len(section.fields) != 1:
        raise section.error("", f"must have exactly one of {', '.join(('identity', 'kms', *KEYED))}")
    (kind,) = section.fields
    if kind == "identity":
        return [Identity()]
    if kind == "kms":
        return [kms(_plugin(section.section("kms")))]
    keys = list(section.section(kind).only("keys").sections("keys"))
    if not keys:
        raise section.error(kind, "needs keys: at least one")
    return [_keyed(kind, key) for key in keys]


def _plugin(section: Section) -> KmsSettings:
    section.only("apiVersion", "name", "endpoint", "timeout", "cachesize")
    version = section.text("apiVersion", "v1")
    if version != "v2":
        raise section.error("apiVersion", f"{version!r}: must be v2 (upstream has v1 switched off too)")
    if section.has("cachesize"):
        raise section.error("cachesize", "does not go with apiVersion v2: leave it out")
    name = section.text("name", required=True)
    if ":" in name:
        raise section.error("name", f"{name!r}: must hold no colon")
    endpoint = section.text("endpoint", required=True)
    scheme, _, path = endpoint.partition("://")
    if scheme != "unix" or not path.lstrip("/"):
        raise section.error("endpoint", f"{endpoint!r}: must name a unix socket, like unix:///run/kms.sock")
    name_only = path.lstrip("/")  # @name is a socket without a file
    address = f"unix-abstract:{name_only[1:]}" if name_only.startswith("@") else f"unix:{path}"
    timeout_s = section.seconds("timeout", 3.0)
    if timeout_s <= 0:
        raise section.error("timeout", "must be more than 0, like 3s")
    return KmsSettings(name, address, timeout_s)


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
