"""The newest events in one ring that serves every watcher; older ones come from the backend's history.

No watcher has a buffer of its own: it holds a position, and reads at its own speed. One that is overtaken by the ring
reads from the history, and one that is overtaken by compaction gets Compacted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from kajitori.storage.interface import FIRST, Event, Key, Revision, Unavailable

# The ring's bounds; the oldest event makes room.
EVENTS_MAX = 2048
BYTES_MAX = 8 << 20

Older = Callable[[Key, Revision], Awaitable[tuple[Sequence[Event], Revision]]]
"""Some events of a prefix after a revision, and the revision up to which they are complete. Raises Compacted."""


@dataclass(slots=True, eq=False)
class _Waiter:
    prefix: Key
    after: Revision
    woken: asyncio.Future[Revision]


class EventLog:
    """`newest` is the last revision appended. Events are appended in order, without gaps."""

    def __init__(
        self, newest: Revision, older: Older, *, events_max: int = EVENTS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self.newest = newest
        self._older = older
        self._ring: list[Event | None] = [None] * events_max
        self._oldest = newest + 1
        self._bytes = 0
        self._bytes_max = bytes_max
        self._waiters: set[_Waiter] = set()
        self._closed: Unavailable | None = None

    def append(self, event: Event) -> None:
        assert event.revision == self.newest + 1, f"revision {event.revision} after {self.newest}"
        self.newest = event.revision
        if event.revision - self._oldest >= len(self._ring):
            self._drop_oldest()
        self._ring[event.revision % len(self._ring)] = event
        self._bytes += _size(event)
        while self._bytes > self._bytes_max and self._oldest < self.newest:
            self._drop_oldest()
        self._wake(event)

    def forget(self, through: Revision) -> None:
        """Drop events up to this revision: they have been compacted."""
        while self._oldest <= min(through, self.newest):
            self._drop_oldest()

    async def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        """Every event of the prefix after the revision, without end."""
        position = max(after, FIRST)
        while True:
            if self._closed is not None:
                raise self._closed
            if position + 1 < self._oldest and position < self.newest:
                events, position = await self._older(prefix, position)
                for event in events:
                    yield event
                continue
            found = self._next(prefix, position)
            if found is None:
                position = await self._wait(prefix, max(position, self.newest))
            else:
                position = found.revision
                yield found

    async def history(self, prefix: Key, after: Revision, until: Revision, limit: int) -> list[Event]:
        """What `watch` tells up to a revision, at most the first `limit` events."""
        found: list[Event] = []
        position = max(after, FIRST)
        while position < until and len(found) < limit:
            if self._closed is not None:
                raise self._closed
            if position + 1 < self._oldest and position < self.newest:
                events, position = await self._older(prefix, position)
                found += [event for event in events if event.revision <= until]
                continue
            event = self._next(prefix, position)
            if event is None or event.revision > until:
                break
            found.append(event)
            position = event.revision
        return found[:limit]

    def close(self, reason: Unavailable) -> None:
        """Every watch ends with this error."""
        self._closed = reason
        for waiter in self._waiters:
            if not waiter.woken.done():
                waiter.woken.set_exception(reason)

    def _next(self, prefix: Key, position: Revision) -> Event | None:
        for revision in range(position + 1, self.newest + 1):
            event = self._ring[revision % len(self._ring)]
            if event is not None and event.key.startswith(prefix):
                return event
        return None

    async def _wait(self, prefix: Key, after: Revision) -> Revision:
        """Sleep until an event concerns this watcher; the position just before it."""
        waiter = _Waiter(prefix, after, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        try:
            return await waiter.woken
        finally:
            self._waiters.discard(waiter)

    def _wake(self, event: Event) -> None:
        """Only whom the event concerns: a store has a watcher for each kind, and most events concern one."""
        for waiter in self._waiters:
            if event.revision > waiter.after and event.key.startswith(waiter.prefix) and not waiter.woken.done():
                waiter.woken.set_result(event.revision - 1)

    def _drop_oldest(self) -> None:
        slot = self._oldest % len(self._ring)
        event = self._ring[slot]
        if event is not None:
            self._bytes -= _size(event)
            self._ring[slot] = None
        self._oldest += 1


def _size(event: Event) -> int:
    return sum(len(record.value) for record in (event.record, event.previous) if record is not None)
