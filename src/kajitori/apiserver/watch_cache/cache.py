"""The whole cache: one watch of the store, given out to the kinds, and waiting until it has seen a revision.

One watch for everything, not one a kind, makes the cache's revision comparable with the store's: when the cache has
seen revision N, no kind lacks anything up to N.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable

from kajitori.api.errors import Timeout
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import ROOT, prefix_of, stored_resource
from kajitori.apiserver.watch_cache.audience import Audience, Line, Outboxes
from kajitori.apiserver.watch_cache.earlier import EarlierEvents
from kajitori.apiserver.watch_cache.entry import CachedEvent
from kajitori.apiserver.watch_cache.kind import KindCache
from kajitori.apiserver.watch_cache.outbox import Outbox
from kajitori.apiserver.watch_cache.selection import Selection
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, Timer
from kajitori.storage.interface import Compacted, Record, Storage, StorageError

log = logging.getLogger(__name__)

FRESH_WAIT_S = 3.0
"""How long a read waits for the cache to reach a revision (upstream's limit)."""
BOOKMARK_S = 60.0
PAGE = 5000


class WatchCache:
    """Start it before serving. Reads and watches go through `kind`."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._kinds: dict[str, KindCache] = {}
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sequence = 0
        self._follower: asyncio.Task[None] | None = None
        self._bookmark_timer: Timer | None = None
        self._bookmarks: dict[Callable[[], None], None] = {}
        self._untold: list[tuple[KindCache, CachedEvent]] = []
        self._earlier = EarlierEvents(storage, clock)
        self._outboxes = Outboxes(Outbox(clock), Outbox(clock))
        self.revision = 0
        self.on_change: Callable[[], None] = lambda: None

    async def start(self) -> None:
        records, self.revision = await self._everything()
        for record in records:
            self._of_key(record.key).load(record)
        self._follower = asyncio.create_task(self._follow(), name="watch cache")

    async def close(self) -> None:
        if self._bookmark_timer is not None:
            self._bookmark_timer.cancel()
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def _everything(self) -> tuple[list[Record], int]:
        page = await self._storage.scan(ROOT, limit=PAGE)
        records, revision = list(page.records), page.revision
        while page.more:
            page = await self._storage.scan(ROOT, start=records[-1].key + "\0", limit=PAGE, at=revision)
            records += page.records
        return records, revision

    def _of_key(self, key: str) -> KindCache:
        end = key.index("/", key.index("/", len(ROOT)) + 1) + 1
        return self._of_prefix(key[:end])

    def _of_prefix(self, prefix: str) -> KindCache:
        kind = self._kinds.get(prefix)
        if kind is None:
            kind = self._kinds[prefix] = KindCache(prefix, self.revision)
        return kind

    def kind(self, resource: Resource) -> KindCache:
        """The objects of a kind, whichever of its versions is asked for."""
        kind = self._of_prefix(prefix_of(resource))
        stored = stored_resource(resource)
        if kind.resource is not stored:
            kind.bind(stored)
        return kind

    def audience(self, kind: KindCache, selection: Selection, line: Line) -> Audience:
        """For a watcher that begins now and knows everything up to now."""
        self.tell()
        return kind.audience(selection, line, self._outboxes)

    def kinds(self) -> list[KindCache]:
        return list(self._kinds.values())

    async def reach_back(self, kind: KindCache, after: int) -> None:
        """Before a watch begins at a revision: what happened before the cache was filled may still be known."""
        if after < kind.oldest:
            await self._earlier.reach_back(kind, after)

    # following the store

    async def _follow(self) -> None:
        backoff, failures = Backoff(initial_s=0.1, max_s=1.0), 0
        while True:
            try:
                async for event in self._storage.watch(ROOT, after=self.revision):
                    failures = 0
                    kind = self._of_key(event.key)
                    self.revision = event.revision
                    self._take_in(kind, event.key[len(kind.prefix) :], event.record, event.revision)
                    self.on_change()
                    if self._waiting:
                        self._wake()
                raise StorageError("the store's watch ended")
            except Compacted:
                await self._rebuild()
            except StorageError as error:
                failures += 1
                log.warning("the store's watch broke and is begun anew: %s", error)
                await self._clock.sleep(backoff.delay_s(failures))
            except Exception:
                failures += 1
                log.exception("the watch cache could not take in an event and is rebuilt")
                await self._clock.sleep(backoff.delay_s(failures))
                await self._rebuild()

    def _take_in(self, kind: KindCache, key: str, record: Record | None, revision: int) -> None:
        """Reads see a change at once. Watchers are told on the next turn of the event loop, all that came together in
        one go: who wrote gets the answer before hundreds of watchers get the news."""
        event = kind.apply(key, record, revision, self._clock.monotonic())
        if event is None:
            return
        if not self._untold:
            asyncio.get_running_loop().call_soon(self.tell)
        self._untold.append((kind, event))

    def tell(self) -> None:
        """Let the watchers know at once what is known here: a bookmark promises that."""
        untold, self._untold = self._untold, []
        for kind, event in untold:
            kind.tell(event)

    async def _rebuild(self) -> None:
        """Too far behind to follow: take the differences from a full read."""
        records, revision = await self._everything()
        self.tell()
        seen: dict[KindCache, set[str]] = {kind: set() for kind in self._kinds.values()}
        for kind in self._kinds.values():
            kind.forget_history(revision)
        for record in records:
            kind = self._of_key(record.key)
            key = record.key[len(kind.prefix) :]
            seen.setdefault(kind, set()).add(key)
            held = kind.get(key)
            if held is None or held.revision != record.modified:
                self._take_in(kind, key, record, revision)
        for kind, kept in seen.items():
            for key in kind.held_keys():
                if key not in kept:
                    self._take_in(kind, key, None, revision)
            kind.forget_history(revision)
        self.revision = revision
        self._wake()

    # waiting

    @property
    def is_caught_up(self) -> bool:
        """Whether it is known, without asking the store, that the cache has seen everything that is committed now."""
        known = self._storage.known_revision()
        return known is not None and self.revision >= known

    async def caught_up(self) -> None:
        """Wait until the cache has seen everything that is committed now."""
        if self.is_caught_up:
            return
        revision = await self._storage.revision()
        if self.revision < revision:
            await self.reached(revision)

    async def reached(self, revision: int) -> None:
        """Wait until the cache has seen this revision; raises Timeout."""
        if self.revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sequence += 1
        heapq.heappush(self._waiting, (revision, self._sequence, future))

        def give_up() -> None:
            if not future.done():
                future.set_result(None)

        timer = self._clock.call_later(FRESH_WAIT_S, give_up)
        try:
            await future
        finally:
            timer.cancel()
        if self.revision < revision:
            raise Timeout.too_large(revision, self.revision)

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.revision:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)

    # bookmarks: one timer for all watchers, running only while somebody wants them

    def every_minute(self, send: Callable[[], None]) -> Callable[[], None]:
        self._bookmarks[send] = None
        if self._bookmark_timer is None:
            self._bookmark_timer = self._clock.call_later(BOOKMARK_S, self._send_bookmarks)

        def stop() -> None:
            self._bookmarks.pop(send, None)

        return stop

    def _send_bookmarks(self) -> None:
        self._bookmark_timer = None
        self.tell()
        for send in list(self._bookmarks):
            send()
        now_s = self._clock.monotonic()
        for kind in self._kinds.values():
            kind.trim(now_s)
        if self._bookmarks:
            self._bookmark_timer = self._clock.call_later(BOOKMARK_S, self._send_bookmarks)
