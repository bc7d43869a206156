"""What happened before the cache was filled, from the store's history: who watched before a restart goes on after it.

Nothing is read ahead. The first watcher of a kind that asks for more than the cache has seen makes it read what it asks
for, at most as many events as the cache would have kept; others meanwhile wait for the same. Whoever asks for more than
that, or for what the store has compacted, lists again (410).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from kajitori.apiserver.watch_cache.entry import CachedEvent, Entry
from kajitori.apiserver.watch_cache.kind import KindCache
from kajitori.kit.clock import Clock, within
from kajitori.storage.interface import Compacted, Event, Key, Revision, Storage, StorageError

PATIENCE_S = 3.0
"""How long a watch waits for its past, as reads wait for the cache."""
_EVENTS_A_TURN = 200

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """One reads at a time. From `too_far` on back there are more events than are kept."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    too_far: Revision = 0


class EarlierEvents:
    """Adds to the kinds' histories what the store still knows."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._turns: WeakKeyDictionary[KindCache, _Turn] = WeakKeyDictionary()

    async def reach_back(self, kind: KindCache, after: Revision) -> None:
        """Make the kind's history begin at a revision, if that can be done."""
        try:
            await within(self._clock, PATIENCE_S, self._reach_back(kind, after))
        except Compacted:
            return
        except (StorageError, TimeoutError) as error:
            log.info("%s: what happened since revision %d is not known: %s", kind.prefix, after, error)

    async def _reach_back(self, kind: KindCache, after: Revision) -> None:
        turn = self._turns.setdefault(kind, _Turn())
        async with turn.lock:
            oldest, room = kind.oldest, kind.earlier_events_max
            if after >= oldest or after <= turn.too_far or not room:
                return
            events = await self._storage.history(kind.prefix, after, oldest, room + 1)
            if len(events) > room:
                turn.too_far = after
                return
            cached = await self._cached(kind, events)
            # Meanwhile the cache may have been rebuilt, or have grown.
            if kind.oldest == oldest and len(cached) <= kind.earlier_events_max:
                kind.add_earlier(cached, after)

    async def _cached(self, kind: KindCache, events: Sequence[Event]) -> list[CachedEvent]:
        """Successive states of an object are one entry each, however many events show them."""
        now_s, latest, cached = self._clock.monotonic(), dict[Key, Entry](), list[CachedEvent]()
        for number, event in enumerate(events, 1):
            previous = latest.pop(event.key, None)
            if previous is None and event.previous is not None:
                previous = kind.entry_of(event.previous)
            entry = None
            if event.record is not None:
                entry = latest[event.key] = kind.entry_of(event.record)
            cached.append(CachedEvent(event.revision, entry, previous, now_s))
            if number % _EVENTS_A_TURN == 0:
                await asyncio.sleep(0)
        return cached
