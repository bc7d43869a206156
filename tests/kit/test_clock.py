"""Virtual time: it moves when told, through every timer, in order."""

import asyncio

import pytest

from kajitori.kit.clock import SystemClock, VirtualClock, within


def virtually(story):
    async def main():
        clock = VirtualClock(start_s=1000.0)
        return await story(clock)

    return asyncio.run(main())


def test_time_stands_still_until_advanced():
    async def story(clock):
        task = asyncio.ensure_future(clock.sleep(0.001))
        await clock.settle()
        assert not task.done() and clock.now() == 1000.0
        await clock.advance(0.001)
        assert task.done()

    virtually(story)


def test_timers_fire_in_order_at_their_own_moment():
    async def story(clock):
        fired = []
        for delay_s in (3, 1, 2):
            clock.call_later(delay_s, lambda d=delay_s: fired.append((d, clock.monotonic())))
        await clock.advance(10)
        assert fired == [(1, 1001.0), (2, 1002.0), (3, 1003.0)]
        assert clock.now() == 1010.0

    virtually(story)


def test_timers_of_one_moment_fire_in_the_order_they_were_set():
    async def story(clock):
        fired = []
        for n in range(5):
            clock.call_later(1, lambda n=n: fired.append(n))
        await clock.advance(1)
        assert fired == [0, 1, 2, 3, 4]

    virtually(story)


def test_a_cancelled_timer_does_not_fire():
    async def story(clock):
        fired = []
        clock.call_later(1, lambda: fired.append(1)).cancel()
        await clock.advance(2)
        assert fired == []

    virtually(story)


def test_a_task_that_sleeps_again_and_again_is_woken_each_time():
    async def story(clock):
        moments = []

        async def tick():
            while True:
                await clock.sleep(10)
                moments.append(clock.now())

        task = asyncio.ensure_future(tick())
        await clock.advance(35)
        task.cancel()
        assert moments == [1010.0, 1020.0, 1030.0]

    virtually(story)


def test_within_returns_what_comes_in_time():
    async def story(clock):
        async def answer():
            await clock.sleep(1)
            return 42

        call = asyncio.ensure_future(within(clock, 2, answer()))
        await clock.advance(1)
        assert await call == 42

    virtually(story)


def test_within_cancels_what_is_late():
    async def story(clock):
        cancelled = False

        async def slow():
            nonlocal cancelled
            try:
                await clock.sleep(100)
            except asyncio.CancelledError:
                cancelled = True
                raise

        call = asyncio.ensure_future(within(clock, 2, slow()))
        await clock.advance(2)
        with pytest.raises(TimeoutError, match="within 2 s"):
            await call
        assert cancelled

    virtually(story)


def test_within_passes_errors_and_cancellation_on():
    async def story(clock):
        async def fail():
            raise KeyError("x")

        with pytest.raises(KeyError):
            await within(clock, 1, fail())
        inner = asyncio.ensure_future(clock.sleep(100))
        call = asyncio.ensure_future(within(clock, 50, inner))
        await clock.settle()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await clock.settle()
        assert inner.cancelled()

    virtually(story)


def test_the_systems_clock_moves_by_itself():
    async def main():
        clock = SystemClock()
        fired = asyncio.Event()
        before_s = clock.monotonic()
        clock.call_later(0.001, fired.set)
        await fired.wait()
        await clock.sleep(0)
        assert clock.monotonic() > before_s
        assert clock.now() > 1_700_000_000

    asyncio.run(main())
