"""Forgetting old revisions: five minutes after they were written, and never while nothing is written."""

import asyncio
import logging

from kajitori.kit.clock import Clock
from kajitori.storage.interface import Storage, StorageError

log = logging.getLogger(__name__)

COMPACTION_S = 300.0
"""How long a past revision can be read: a paged list must be done by then (upstream's interval)."""


class Compactor:
    """Every interval, forget what was old at the interval's beginning. Sleeps while the revision stands still:
    `poke` is called for each change that the cache sees."""

    def __init__(self, storage: Storage, clock: Clock, interval_s: float = COMPACTION_S) -> None:
        self._storage = storage
        self._clock = clock
        self._interval_s = interval_s
        self._written = asyncio.Event()

    def poke(self) -> None:
        self._written.set()

    async def run(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            try:
                before = await self._storage.revision()
                await self._clock.sleep(self._interval_s)
                # Of several servers, one: who comes later within the interval leaves it be.
                if await self._storage.take_turn("compaction", before):
                    await self._storage.compact(before)
            except StorageError as error:
                log.warning("old revisions could not be forgotten, which is tried again: %s", error)
