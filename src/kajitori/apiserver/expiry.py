"""Events are forgotten an hour after they were last written, as upstream's are."""

import asyncio
import logging
from collections import deque

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.times import parse_timestamp
from kajitori.apiserver.documents import prefix_of
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.apiserver.watch_cache.entry import DELETED, CachedEvent, Entry
from kajitori.apiserver.watch_cache.selection import Selection
from kajitori.kit.clock import Clock
from kajitori.storage.interface import Conflict, Delete, Storage, StorageError

log = logging.getLogger(__name__)

EVENTS_KEPT_S = 3600.0


class Expiry:
    """Watches one kind; sleeps until the oldest is due. Bounded by the number of writes within the time that is kept.

    Of what was there before this process began, the event itself says when it was last written.
    """

    selection = Selection()
    count = 1

    def __init__(self, storage: Storage, cache: WatchCache, clock: Clock, resource: Resource, kept_s: float) -> None:
        self._storage = storage
        self._clock = clock
        self._kind = cache.kind(resource)
        self._prefix = prefix_of(resource)
        self._kept_s = kept_s
        self._due: deque[tuple[float, str, int]] = deque()
        self._written = asyncio.Event()
        begun_s = clock.monotonic() - clock.now()
        found = [
            (begun_s + min(_written_s(entry.object), clock.now()) + kept_s, key_of(entry), entry.revision)
            for entry in self._kind.range()
        ]
        self._due.extend(sorted(found))
        if self._due:
            self._written.set()
        self._kind.add_watcher(self)

    def push(self, event: CachedEvent, type: str) -> None:
        if type != DELETED and event.entry is not None:
            entry = event.entry
            self._due.append((self._clock.monotonic() + self._kept_s, key_of(entry), entry.revision))
            self._written.set()

    def expire(self, message: str) -> None:
        """The cache was rebuilt: the differences arrive as events."""

    def close(self) -> None:
        """Its task is cancelled by who started it."""

    async def run(self) -> None:
        while True:
            await self._written.wait()
            due_s, key, revision = self._due[0]
            wait_s = due_s - self._clock.monotonic()
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            self._due.popleft()
            if not self._due:
                self._written.clear()
            entry = self._kind.get(key)
            if entry is not None and entry.revision == revision:
                await self._forget(key, revision)

    async def _forget(self, key: str, revision: int) -> None:
        try:
            await self._storage.commit(Delete(self._prefix + key), expect=revision)
        except Conflict:
            pass  # written again just now: its turn comes later
        except StorageError as error:
            log.warning("an expired event stays: %s", error)


def key_of(entry: Entry) -> str:
    return f"{entry.namespace}/{entry.name}"


def _written_s(event: Object) -> float:
    """When it was last seen to happen; a time that cannot be read is long ago."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    try:
        return max(parse_timestamp(text) for text in times if text)
    except ValueError:
        return 0.0
