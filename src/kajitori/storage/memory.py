"""The store in memory: for tests and simulation, where nothing has to outlive the process."""

import bisect
from collections.abc import AsyncIterator, Sequence

from kajitori.storage.event_log import EventLog
from kajitori.storage.interface import (
    ABSENT,
    FIRST,
    LATEST,
    Change,
    Compacted,
    Conflict,
    Delete,
    Event,
    FutureRevision,
    Key,
    Page,
    Put,
    Record,
    Revision,
    Unavailable,
)
from kajitori.storage.ranges import prefix_end

# Revisions that stay readable and watchable; older ones are compacted, a slack's worth at a time.
HISTORY_REVISIONS = 10_000
SLACK_REVISIONS = 1_000

_Version = tuple[Revision, Record | None]


class MemoryStorage:
    """Implements `kajitori.storage.interface.Storage`. Every write takes effect at once, in the order of the calls."""

    def __init__(self, history_revisions: int = HISTORY_REVISIONS) -> None:
        self._keys: list[Key] = []
        self._versions: dict[Key, list[_Version]] = {}
        self._history_revisions = history_revisions
        self._oldest: Revision = FIRST
        self._events: dict[Revision, Event] = {}
        ring = history_revisions + SLACK_REVISIONS + 1
        self._log = EventLog(FIRST, self._older, events_max=ring, bytes_max=1 << 62)
        self._closed = False

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        return self._version(key, self._at(at))

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        revision = self._at(at)
        begin = bisect.bisect_left(self._keys, max(prefix, start))
        end_key = prefix_end(prefix)
        end = len(self._keys) if end_key is None else bisect.bisect_left(self._keys, end_key)
        found = [r for key in self._keys[begin:end] if (r := self._version(key, revision)) is not None]
        taken = found[:limit] if limit else found
        remaining = len(found) - len(taken)
        return Page(tuple(taken), revision, remaining > 0, remaining)

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        self._check_open()
        newest = self._log.newest
        current = self._version(change.key, newest)
        if expect is not None and expect != (ABSENT if current is None else current.modified):
            raise Conflict(change.key, current)
        if isinstance(change, Delete) and current is None:
            return newest
        revision = newest + 1
        record = None
        if isinstance(change, Put):
            record = Record(change.key, change.value, current.created if current else revision, revision)
        self._append(Event(change.key, revision, record, current))
        if revision - self._oldest >= self._history_revisions + SLACK_REVISIONS:
            self._compact(revision - self._history_revisions)
        return revision

    def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        return self._log.watch(prefix, after)

    async def history(self, prefix: Key, after: Revision, until: Revision, limit: int) -> Sequence[Event]:
        return await self._log.history(prefix, after, until, limit)

    async def revision(self) -> Revision:
        return self.known_revision()

    def known_revision(self) -> Revision:
        self._check_open()
        return self._log.newest

    async def compact(self, before: Revision) -> None:
        self._compact(self._known(before))

    async def take_turn(self, task: str, since: Revision) -> bool:
        return True

    async def size_bytes(self) -> int:
        return sum(len(record.value) for versions in self._versions.values() for _, record in versions if record)

    async def close(self) -> None:
        self._closed = True
        self._log.close(Unavailable("the store is closed"))

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")

    def _known(self, revision: Revision) -> Revision:
        self._check_open()
        if revision > self._log.newest:
            raise FutureRevision(revision, self._log.newest)
        return revision

    def _at(self, at: Revision) -> Revision:
        revision = self._known(at) or self._log.newest
        if revision < self._oldest:
            raise Compacted(revision, self._oldest)
        return revision

    def _version(self, key: Key, revision: Revision) -> Record | None:
        for modified, record in reversed(self._versions.get(key, ())):
            if modified <= revision:
                return record
        return None

    def _append(self, event: Event) -> None:
        if event.key not in self._versions:
            self._versions[event.key] = []
            bisect.insort(self._keys, event.key)
        self._versions[event.key].append((event.revision, event.record))
        self._events[event.revision] = event
        self._log.append(event)

    def _compact(self, before: Revision) -> None:
        """Of every key, keep what a read at `before` or later can see."""
        for revision in range(self._oldest, before + 1):
            event = self._events.pop(revision, None)
            if event is None:
                continue
            versions = [v for v in self._versions[event.key] if v[0] > revision or (v[0] == revision and v[1])]
            if versions:
                self._versions[event.key] = versions
            else:
                del self._versions[event.key]
                del self._keys[bisect.bisect_left(self._keys, event.key)]
        self._oldest = max(self._oldest, before)
        self._log.forget(before)

    async def _older(self, prefix: Key, after: Revision) -> tuple[Sequence[Event], Revision]:
        """The ring holds the whole history: what it lacks has been compacted."""
        raise Compacted(after, self._oldest)
