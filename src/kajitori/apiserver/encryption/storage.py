"""A store whose values are encrypted as they go in and decrypted once as they come out; keys stay readable."""

from collections.abc import AsyncIterator
from dataclasses import replace

from kajitori.apiserver.documents import ROOT
from kajitori.apiserver.encryption.configuration import Encryption, Transformer, Unreadable
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
    Unavailable,
)


class EncryptedStorage:
    """A `Storage` around another. A value that no key opens makes the read fail with Unavailable: it is neither served
    nor overwritten unseen.

    `stale` holds the keys of records that the first provider did not write, so that a write which changes nothing is
    written nevertheless. Bounded by the number of records.
    """

    def __init__(self, storage: Storage, encryption: Encryption) -> None:
        self._storage = storage
        self._encryption = encryption
        self._transformers: dict[str, Transformer | None] = {}
        self.stale: set[Key] = set()

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

    def _opened(self, record: Record) -> Record:
        transformer = self._of(record.key)
        if transformer is None:
            return record
        if transformer.is_stale(record.value):
            self.stale.add(record.key)
        else:
            self.stale.discard(record.key)
        try:
            return replace(record, value=transformer.open(record.value, record.key))
        except Unreadable as error:
            raise Unavailable(str(error)) from error

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        record = await self._storage.read(key, at)
        return self._opened(record) if record is not None else None

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        page = await self._storage.scan(prefix, start, limit, at)
        return replace(page, records=tuple(map(self._opened, page.records)))

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        transformer = self._of(change.key)
        if isinstance(change, Put) and transformer is not None:
            change = Put(change.key, transformer.seal(change.value, change.key))
        try:
            revision = await self._storage.commit(change, expect)
        except Conflict as conflict:
            if conflict.current is not None:
                raise Conflict(change.key, self._opened(conflict.current)) from None
            raise
        if isinstance(change, Delete) or transformer is not None:
            self.stale.discard(change.key)
        return revision

    async def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        async for event in self._storage.watch(prefix, after):
            if self._of(event.key) is not None:
                record = self._opened(event.record) if event.record is not None else None
                previous = self._opened_before(event.previous)
                event = replace(event, record=record, previous=previous)  # the same event, readable
                if record is None:
                    self.stale.discard(event.key)  # another server may have deleted it
            yield event

    def _opened_before(self, record: Record | None) -> Record | None:
        """What stood there says nothing of what stands there now."""
        if record is None:
            return None
        was_stale = record.key in self.stale
        opened = self._opened(record)
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

    async def close(self) -> None:
        await self._storage.close()
