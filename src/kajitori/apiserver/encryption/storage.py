"""A store whose values are encrypted as they go in and decrypted once as they come out; keys stay readable."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.documents import ROOT
from kajitori.apiserver.encryption.configuration import Encryption, Transformer, Unreadable, sealed_prefix
from kajitori.apiserver.encryption.figures import EncryptionFigures
from kajitori.apiserver.encryption.providers import CannotSeal, Locked, WrongKey
from kajitori.kit.clock import Clock
from kajitori.storage.interface import (
    LATEST,
    Change,
    Conflict,
    Delete,
    Event,
    Key,
    Page,
    Put,
    Record,
    Revision,
    Storage,
    StorageError,
    Unavailable,
)

log = logging.getLogger(__name__)

_EXAMINED_AT_ONCE = 500
_LAST_CALL_S = 60.0
"""After this nobody asks a plugin any more that has been replaced."""


@runtime_checkable
class _Service(Protocol):
    """A provider that asks another process."""

    name: str
    on_rotated: Callable[[], None]

    async def begin(self) -> None: ...

    async def health(self) -> str: ...

    async def close(self) -> None: ...


class EncryptedStorage:
    """A `Storage` around another. A value that no key opens makes the read fail with Unavailable: it is neither served
    nor overwritten unseen.

    `stale` holds the keys of records that a write would store otherwise, so that a write which changes nothing is
    written nevertheless. Bounded by the number of records.
    """

    def __init__(self, storage: Storage, encryption: Encryption, clock: Clock, figures: EncryptionFigures) -> None:
        self._storage = storage
        self._encryption = encryption
        self._clock = clock
        self._figures = figures
        self._services = _services(encryption)
        self._transformers: dict[str, Transformer | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.stale: set[Key] = set()

    async def begin(self) -> None:
        """Before the first use: ask the plugins."""
        await self._begin(self._services)

    async def _begin(self, services: Sequence[_Service]) -> None:
        for service in services:
            service.on_rotated = self._rotated
        await asyncio.gather(*(service.begin() for service in services))

    async def use(self, encryption: Encryption) -> None:
        """From now on this decides what is encrypted and with what. Raises BadConfiguration when a plugin is not well;
        then everything stays."""
        services = _services(encryption)
        await self._begin(services)
        ill = [f"{service.name}: {why}" for service in services if (why := await service.health())]
        if ill:
            await asyncio.gather(*(service.close() for service in services))
            raise BadConfiguration(f"a KMS plugin is not well ({'; '.join(ill)}): look at it, then save the file again")
        replaced, self._services = self._services, services
        self._encryption = encryption
        for kind in self._transformers:
            self._transformers[kind] = encryption.transformer_of(*kind.split("/"))
        self._later(self._retire(replaced), "closing of replaced KMS plugins")
        await self._examine()

    async def _retire(self, services: Sequence[_Service]) -> None:
        try:
            await self._clock.sleep(_LAST_CALL_S)
        finally:
            await asyncio.gather(*(service.close() for service in services))

    def _rotated(self) -> None:
        self._later(self._examine(), "looking for values of retired keys")

    async def _examine(self) -> None:
        """Look at every value again, whether a write would store it otherwise."""
        for kind in list(self._transformers):
            prefix, start = f"{ROOT}{kind}/", ""
            while True:
                try:
                    page = await self._storage.scan(prefix, start, _EXAMINED_AT_ONCE)
                except StorageError as error:
                    log.warning("values of %s are not looked at: %s", kind, error)
                    break
                for record in page.records:
                    self._note_stale(record, self._of(record.key))
                if not page.more or not page.records:
                    break
                start = page.records[-1].key + "\0"

    def _later(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def health(self) -> str:
        """Why a KMS plugin is ill; "" when all are well."""
        found = [await service.health() for service in self._services]
        return "; ".join(f"kms-provider-{number}: {why}" for number, why in enumerate(found) if why)

    @property
    def has_services(self) -> bool:
        return bool(self._services)

    def _of(self, key: Key) -> Transformer | None:
        """By the `/registry/<group>/<plural>/` that a key begins with."""
        if not key.startswith(ROOT):
            return None
        group, _, rest = key[len(ROOT) :].partition("/")
        plural = rest.partition("/")[0]
        kind = f"{group}/{plural}"
        if kind not in self._transformers:
            self._transformers[kind] = self._encryption.transformer_of(group, plural)
        return self._transformers[kind]

    def _note_stale(self, record: Record, transformer: Transformer | None) -> None:
        if transformer is not None and transformer.is_stale(record.value):
            self.stale.add(record.key)
        else:
            self.stale.discard(record.key)

    async def _opened(self, record: Record) -> Record:
        transformer = self._of(record.key)
        if transformer is None:
            return record
        self._note_stale(record, transformer)
        resource, prefix, began_s = _resource(record.key), sealed_prefix(record.value), self._clock.monotonic()
        try:
            value = await _open(transformer, record)
        except Unreadable as error:
            self._figures.failed("from_storage", resource, prefix)
            raise Unavailable(str(error)) from error
        self._figures.transformed("from_storage", resource, prefix, self._clock.monotonic() - began_s)
        return replace(record, value=value)

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        record = await self._storage.read(key, at)
        return await self._opened(record) if record is not None else None

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        page = await self._storage.scan(prefix, start, limit, at)
        return replace(page, records=tuple([await self._opened(record) for record in page.records]))

    def _sealed(self, change: Put, transformer: Transformer) -> Put:
        resource, prefix = _resource(change.key), transformer.writes_with
        began_s = self._clock.monotonic()
        try:
            sealed = transformer.seal(change.value, change.key)
        except CannotSeal as error:
            self._figures.failed("to_storage", resource, prefix)
            raise Unavailable(f"{change.key} cannot be encrypted: {error}") from error
        self._figures.transformed("to_storage", resource, prefix, self._clock.monotonic() - began_s)
        return Put(change.key, sealed)

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        transformer = self._of(change.key)
        if isinstance(change, Put) and transformer is not None:
            change = self._sealed(change, transformer)
        try:
            revision = await self._storage.commit(change, expect)
        except Conflict as conflict:
            if conflict.current is not None:
                raise Conflict(change.key, await self._opened(conflict.current)) from None
            raise
        if isinstance(change, Delete) or transformer is not None:
            self.stale.discard(change.key)
        return revision

    async def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        async for event in self._storage.watch(prefix, after):
            if self._of(event.key) is not None:
                record = await self._opened(event.record) if event.record is not None else None
                previous = await self._opened_before(event.previous)
                event = replace(event, record=record, previous=previous)  # the same event, readable
                if record is None:
                    self.stale.discard(event.key)  # another server may have deleted it
            yield event

    async def history(self, prefix: Key, after: Revision, until: Revision, limit: int) -> Sequence[Event]:
        return [
            replace(
                event,
                record=await self._opened_before(event.record),
                previous=await self._opened_before(event.previous),
            )
            for event in await self._storage.history(prefix, after, until, limit)
        ]

    async def _opened_before(self, record: Record | None) -> Record | None:
        """What stood there says nothing of what stands there now."""
        if record is None:
            return None
        was_stale = record.key in self.stale
        opened = await self._opened(record)
        (self.stale.add if was_stale else self.stale.discard)(record.key)
        return opened

    async def revision(self) -> Revision:
        return await self._storage.revision()

    def known_revision(self) -> Revision | None:
        return self._storage.known_revision()

    async def take_turn(self, task: str, since: Revision) -> bool:
        return await self._storage.take_turn(task, since)

    async def size_bytes(self) -> int:
        return await self._storage.size_bytes()

    async def compact(self, before: Revision) -> None:
        await self._storage.compact(before)

    async def end(self) -> None:
        """Ask no plugin any more; the store itself stays open."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(service.close() for service in self._services))

    async def close(self) -> None:
        await self.end()
        await self._storage.close()


async def _open(transformer: Transformer, record: Record) -> bytes:
    """Raises Unreadable."""
    while True:
        try:
            return transformer.open(record.value, record.key)
        except Locked as locked:
            try:
                await locked.unlock()
            except WrongKey as error:
                raise transformer.unreadable(record.value, record.key, str(error)) from error


def _services(encryption: Encryption) -> list[_Service]:
    providers = (provider for _, transformer in encryption.entries for provider in transformer.providers)
    return [provider for provider in providers if isinstance(provider, _Service)]


def _resource(key: Key) -> str:
    """`secrets`, `deployments.apps`: as upstream's figures name them."""
    _, _, group, plural, *_ = (*key.split("/", 4), "", "", "", "")
    return plural if group == "core" else f"{plural}.{group}"
