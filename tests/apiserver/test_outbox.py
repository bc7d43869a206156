"""Watchers are told a few a turn of the event loop; after a round over many comes a rest."""

import asyncio
from collections.abc import Awaitable, Callable

from kajitori.apiserver.watch_cache.outbox import REST_ROUNDS, REST_S_MAX, TOLD_A_TURN, Outbox
from kajitori.kit.clock import VirtualClock


class PassingClock(VirtualClock):
    """One whose time also passes while a callback runs."""

    passed_s = 0.0

    def pass_s(self, seconds: float) -> None:
        self.passed_s += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.passed_s


class Crowd:
    """So many watchers, each of whom takes a while to tell."""

    def __init__(self, clock: PassingClock, size: int, takes_s: float = 0.0) -> None:
        self._clock, self._left, self._takes_s = clock, size, takes_s
        self.told_s: list[float] = []

    def send(self, room: int) -> int:
        told = min(room, self._left)
        self._left -= told
        for _ in range(told):
            self._clock.pass_s(self._takes_s)
            self.told_s.append(self._clock.monotonic())
        return told


async def turn() -> None:
    await asyncio.sleep(0)


def run(test: Callable[[PassingClock, Outbox], Awaitable[None]]) -> None:
    async def main() -> None:
        clock = PassingClock()
        await test(clock, Outbox(clock))

    asyncio.run(main())


def test_a_crowd_is_told_a_few_a_turn_and_the_next_one_after_it() -> None:
    async def test(clock: PassingClock, outbox: Outbox) -> None:
        first, second = Crowd(clock, TOLD_A_TURN + 1), Crowd(clock, TOLD_A_TURN)
        outbox.add(first)
        outbox.add(second)
        for told in ((TOLD_A_TURN, 0), (TOLD_A_TURN + 1, TOLD_A_TURN - 1), (TOLD_A_TURN + 1, TOLD_A_TURN)):
            await turn()
            assert (len(first.told_s), len(second.told_s)) == told

    run(test)


def test_who_comes_during_a_round_is_told_in_the_next() -> None:
    async def test(clock: PassingClock, outbox: Outbox) -> None:
        crowd, late = Crowd(clock, TOLD_A_TURN + 1, REST_S_MAX), Crowd(clock, 1)
        outbox.add(crowd)
        await turn()
        outbox.add(late)
        await turn()
        await turn()
        assert len(crowd.told_s) == TOLD_A_TURN + 1 and not late.told_s
        await clock.advance(REST_S_MAX * 1.1)
        assert len(late.told_s) == 1

    run(test)


def test_after_a_round_over_many_comes_a_rest_of_some_rounds_but_bounded() -> None:
    async def test(clock: PassingClock, outbox: Outbox) -> None:
        for round_s, rest_s in ((REST_S_MAX / REST_ROUNDS / 2, REST_S_MAX / 2), (1.0, REST_S_MAX)):
            crowd, next_one = Crowd(clock, 2 * TOLD_A_TURN, round_s / 2 / TOLD_A_TURN), Crowd(clock, 1)
            outbox.add(crowd)
            for _ in range(3):
                await turn()
            assert len(crowd.told_s) == 2 * TOLD_A_TURN
            outbox.add(next_one)
            await clock.advance(rest_s * 0.9)
            assert not next_one.told_s
            await clock.advance(rest_s * 0.2)
            assert len(next_one.told_s) == 1
            await clock.advance(REST_S_MAX)

    run(test)


def test_a_few_wait_for_nothing() -> None:
    async def test(clock: PassingClock, outbox: Outbox) -> None:
        for _ in range(5):
            few = Crowd(clock, TOLD_A_TURN - 1, 1.0)
            outbox.add(few)
            await turn()
            assert len(few.told_s) == TOLD_A_TURN - 1

    run(test)
