"""What every verb works with, and how an object gets into the store and out of it."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from kajitori.api.errors import BadRequest, NotFound, StatusError
from kajitori.api.go_text import quoted
from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.aside import Aside
from kajitori.apiserver.documents import encode, key_in_store, stored_resource, with_revision
from kajitori.apiserver.http_types import RestHooks
from kajitori.apiserver.interfaces import AdmissionPlugin
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.kit.clock import Clock
from kajitori.kit.randomness import BlockRandom
from kajitori.storage.interface import Conflict, Storage

HookTable = Mapping[tuple[str, str], Sequence[RestHooks]]
"""By (group, plural) of the stored version."""


@dataclass(slots=True)
class Backend:
    storage: Storage
    cache: WatchCache
    registry: Registry
    clock: Clock
    rng: random.Random = field(default_factory=BlockRandom)
    admission: Sequence[AdmissionPlugin] = ()
    hooks: HookTable = field(default_factory=dict)
    stale: Collection[str] = ()
    """Keys of records that are written although nothing changes, because the store would now keep them otherwise."""
    aside: Aside = field(default_factory=Aside)

    def hooks_of(self, resource: Resource) -> Sequence[RestHooks]:
        stored = stored_resource(resource)
        return self.hooks.get((stored.group, stored.plural), ())


@dataclass(frozen=True, slots=True)
class Current:
    """An object as it stands: its stored bytes with resourceVersion, and its revision. `shown` is the same in the
    version that is worked with, where a webhook converts it."""

    body: bytes
    revision: int
    shown: bytes | None = None

    def decode(self, resource: Resource) -> Object:
        """A private copy in the given version."""
        return in_version(resource, orjson.loads(self.shown or self.body))


def in_version(resource: Resource, stored: Object) -> Object:
    """A decoded stored object as this version shows it; takes `stored` over."""
    if resource.from_stored is not None:
        stored = resource.from_stored(stored)
    stored["kind"], stored["apiVersion"] = resource.kind, resource.api_version
    return stored


def stored_bytes(resource: Resource, obj: Object) -> bytes:
    """What is stored for an object of this version. Takes the resourceVersion out of `obj`."""
    if resource.stored_as is not None:
        obj["metadata"].pop("resourceVersion", None)
        converted = resource.to_stored(obj) if resource.to_stored is not None else {**obj}
        stored = resource.stored_as
        converted["kind"], converted["apiVersion"] = stored.kind, stored.api_version
        return encode(stored, converted)
    return encode(resource, obj)


def shown_bytes(resource: Resource, value: bytes, revision: int, obj: Object) -> bytes:
    """The answer to a write: what a read would show, mostly the bytes that were stored."""
    if resource.stored_as is None:
        stored = with_revision(value, revision)
        return stored if resource.shown is None else resource.shown(stored)
    obj["metadata"]["resourceVersion"] = str(revision)
    return orjson.dumps(in_version(resource, orjson.loads(with_revision(value, revision))))


def cached(backend: Backend, resource: Resource, namespace: str, name: str) -> Current | None:
    """From memory, possibly a moment old."""
    key = f"{namespace}/{name}" if resource.namespaced else name
    entry = backend.cache.kind(resource).get(key)
    return Current(entry.body, entry.revision) if entry is not None else None


async def newest(backend: Backend, resource: Resource, namespace: str, name: str) -> Current | None:
    """From the store itself."""
    record = await backend.storage.read(key_in_store(resource, namespace, name))
    return Current(with_revision(record.value, record.modified), record.modified) if record is not None else None


async def confirm(backend: Backend, resource: Resource, namespace: str, name: str, revision: int) -> None:
    """That this is the newest state, for an outcome that writes nothing: no compare-and-swap proves it. Raises the
    store's Conflict."""
    if backend.cache.is_caught_up:
        now = cached(backend, resource, namespace, name)
        if now is not None and now.revision == revision:
            return
    key = key_in_store(resource, namespace, name)
    record = await backend.storage.read(key)
    if record is None or record.modified != revision:
        raise Conflict(key, record)


def not_found(resource: Resource, name: str) -> StatusError:
    """Why there is no object of this name; some there can never be."""
    if name in (".", ".."):
        return BadRequest(f"Name parameter invalid: {quoted(name)}: may not be '{name}'")
    if "%" in name:
        return BadRequest(f"Name parameter invalid: {quoted(name)}: may not contain '%'")
    return NotFound.of(resource.group, resource.plural, name)
