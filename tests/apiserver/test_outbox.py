"""Watchers are told a few a turn of the event loop; where many are told again and again, with rests in between."""

import asyncio
from collections.abc import Awaitable, Callable

from kajitori.apiserver.watch_cache.outbox import BUSY_S, MANY, REST_S, RESTS_MAX, TOLD_A_TURN, Outbox
from kajitori.kit.clock import VirtualClock


class Crowd:
    """So many watchers."""

    def __init__(self, size: int, *, lone: bool = True) -> None:
        self._left = size
        self.lone = lone
        self.told = 0

    def send(self, room: int) -> int:
        told = min(room, self._left)
        self._left -= told
        self.told += told
        return told


async def turn() -> None:
    await asyncio.sleep(0)


def run(test: Callable[[VirtualClock, Outbox], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = VirtualClock()
        await test(clock, Outbox(clock))

    asyncio.run(main())


async def tell_many(outbox: Outbox) -> None:
    """One round over many: the one that begins soon after it rests."""
    await tell(outbox, MANY + 1)


async def tell(outbox: Outbox, size: int) -> None:
    crowd = Crowd(size)
    outbox.add(crowd)
    for _ in range(size // TOLD_A_TURN + 2):
        await turn()
    assert crowd.told == size


def test_a_crowd_is_told_a_few_a_turn_and_the_next_one_after_it() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        first, second = Crowd(TOLD_A_TURN + 1), Crowd(TOLD_A_TURN)
        outbox.add(first)
        outbox.add(second)
        for told in ((TOLD_A_TURN, 0), (TOLD_A_TURN + 1, TOLD_A_TURN - 1), (TOLD_A_TURN + 1, TOLD_A_TURN)):
            await turn()
            assert (first.told, second.told) == told

    run(test)


def test_who_comes_during_a_round_is_told_in_the_next() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        crowd, late = Crowd(TOLD_A_TURN + 1), Crowd(1)
        outbox.add(crowd)
        await turn()
        outbox.add(late)
        await turn()
        assert (crowd.told, late.told) == (TOLD_A_TURN + 1, 0)
        for _ in range(2):
            await turn()
        assert late.told == 1

    run(test)


def test_a_round_soon_after_one_over_many_rests_while_one_line_waits_so_often_at_most() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        await tell_many(outbox)
        crowd = Crowd((RESTS_MAX + 3) * TOLD_A_TURN)
        outbox.add(crowd)
        await turn()
        for rests in range(RESTS_MAX):
            assert crowd.told == (rests + 1) * TOLD_A_TURN
            await clock.advance(REST_S * 0.9)
            assert crowd.told == (rests + 1) * TOLD_A_TURN
            await clock.advance(REST_S * 0.11)
        for _ in range(2):
            await turn()
        assert crowd.told == (RESTS_MAX + 3) * TOLD_A_TURN

    run(test)


def test_such_a_round_goes_on_at_once_when_more_lines_wait() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        await tell_many(outbox)
        crowd = Crowd(5 * TOLD_A_TURN, lone=False)
        outbox.add(crowd)
        for turns in range(3):
            await turn()
            assert crowd.told == (turns + 1) * TOLD_A_TURN
        crowd.lone = True
        for _ in range(3):
            await turn()
        assert crowd.told == 4 * TOLD_A_TURN
        await clock.advance(REST_S)
        assert crowd.told == 5 * TOLD_A_TURN

    run(test)


def test_where_little_changes_a_crowd_is_told_without_rest() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        await tell_many(outbox)
        await clock.advance(BUSY_S)
        crowd = Crowd(3 * TOLD_A_TURN)
        outbox.add(crowd)
        for _ in range(3):
            await turn()
        assert crowd.told == 3 * TOLD_A_TURN

    run(test)


def test_a_round_that_was_not_over_many_makes_the_next_no_slower() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        for _ in range(3):
            await tell(outbox, MANY)

    run(test)


def test_a_few_wait_for_nothing() -> None:
    async def test(clock: VirtualClock, outbox: Outbox) -> None:
        for _ in range(5):
            few = Crowd(TOLD_A_TURN - 1)
            outbox.add(few)
            await turn()
            assert few.told == TOLD_A_TURN - 1

    run(test)
