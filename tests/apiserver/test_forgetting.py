"""What is forgotten with time: old revisions by one server of several, events an hour after they were last written."""

import asyncio

from kajitori.api import core
from kajitori.api.times import timestamp
from kajitori.apiserver.compaction import Compactor
from kajitori.apiserver.expiry import Expiry
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.kit.clock import VirtualClock
from kajitori.storage.interface import FIRST, Compacted, Put, Unavailable
from kajitori.storage.memory import MemoryStorage

NOW_S = 1_800_000_000.0
A = "/registry/core/events/default/a"


class Shared(MemoryStorage):
    """Keeps count of who compacts, and gives the turn as a shared store does."""

    def __init__(self):
        super().__init__()
        self.compactions = []
        self.turn = 0
        self.down = False

    async def take_turn(self, task, since):
        if self.down:
            raise Unavailable("down")
        if self.turn > since:
            return False
        self.turn = await self.revision() + 1
        return True

    async def compact(self, before):
        self.compactions.append(before)
        await super().compact(before)


def play(scenario):
    async def main():
        storage, clock = Shared(), VirtualClock(NOW_S)
        tasks = []
        await scenario(storage, clock, lambda run: tasks.append(asyncio.ensure_future(run)))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await storage.close()

    asyncio.run(main())


def test_of_several_servers_one_compacts_in_each_interval():
    async def scenario(storage, clock, begin):
        compactors = [Compactor(storage, clock, 300) for _ in range(3)]
        for compactor in compactors:
            begin(compactor.run())
        for turn in range(3):
            first = await storage.commit(Put(A, b"1"))
            for compactor in compactors:
                compactor.poke()
            await clock.advance(1)
            await storage.commit(Put(A, b"2"))
            await clock.advance(300)
            assert storage.compactions[turn:] == [first]
            assert (await storage.read(A, first)).value == b"1"
        try:
            await storage.read(A, first - 1)
            raise AssertionError("an old revision is still read")
        except Compacted:
            pass

    play(scenario)


def test_a_server_that_cannot_compact_goes_on_trying():
    async def scenario(storage, clock, begin):
        compactor = Compactor(storage, clock, 300)
        begin(compactor.run())
        storage.down = True
        await storage.commit(Put(A, b"1"))
        compactor.poke()
        await clock.advance(301)
        storage.down = False
        compactor.poke()
        await clock.advance(301)
        assert storage.compactions == [FIRST + 1]

    play(scenario)


def event(name, age_s, **fields):
    when = timestamp(NOW_S - age_s)
    metadata = b'"metadata":{"name":"%s","namespace":"default","creationTimestamp":"%s"}' % (
        name.encode(),
        when.encode(),
    )
    more = "".join(f',"{key}":"{timestamp(NOW_S - age)}"' for key, age in fields.items()).encode()
    return Put(f"/registry/core/events/default/{name}", b'{"kind":"Event","apiVersion":"v1",%s%s}' % (metadata, more))


def test_events_go_an_hour_after_they_were_last_written_whenever_the_server_began():
    async def left(storage):
        return {record.key.rpartition("/")[2] for record in (await storage.scan("/registry/")).records}

    async def scenario(storage, clock, begin):
        await storage.commit(event("old", 3000))
        await storage.commit(event("seen-again", 3000, lastTimestamp=100))
        await storage.commit(event("overdue", 5000))
        cache = WatchCache(storage, clock)
        await cache.start()
        begin(Expiry(storage, cache, clock, core.EVENT, 3600).run())
        await clock.advance(1)
        assert await left(storage) == {"old", "seen-again"}
        await storage.commit(event("new", 0))
        await clock.advance(650)
        assert await left(storage) == {"seen-again", "new"}
        await clock.advance(2900)
        assert await left(storage) == {"new"}
        await clock.advance(100)
        assert await left(storage) == set()
        await cache.close()

    play(scenario)
