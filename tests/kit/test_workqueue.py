"""The work queue: a key waits once, is worked on by one, and fails ever more slowly."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import VirtualClock
from kajitori.kit.workqueue import WorkQueue


def with_queue(story, backoff=None):
    async def main():
        clock = VirtualClock()
        queue = WorkQueue(clock, backoff)
        await story(queue, clock)
        queue.close()

    asyncio.run(main())


def test_keys_come_in_the_order_they_were_added():
    async def story(queue, clock):
        for key in "abc":
            queue.add(key)
        assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]

    with_queue(story)


def test_a_waiting_key_is_held_once():
    async def story(queue, clock):
        queue.add("a")
        queue.add("a")
        assert len(queue) == 1

    with_queue(story)


def test_a_key_added_while_worked_on_comes_again_when_done():
    async def story(queue, clock):
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert len(queue) == 1
        await queue.get()
        queue.done("a")
        assert len(queue) == 0

    with_queue(story)


def test_a_waiting_worker_is_woken():
    async def story(queue, clock):
        workers = [asyncio.ensure_future(queue.get()) for _ in range(2)]
        await clock.settle()
        queue.add("a")
        queue.add("b")
        assert sorted(await asyncio.gather(*workers)) == ["a", "b"]

    with_queue(story)


def test_a_worker_cancelled_as_it_is_woken_passes_the_key_on():
    async def story(queue, clock):
        first = asyncio.ensure_future(queue.get())
        second = asyncio.ensure_future(queue.get())
        await clock.settle()
        queue.add("a")
        first.cancel()
        await clock.settle()
        assert second.result() == "a"

    with_queue(story)


def test_of_two_delays_the_earlier_wins():
    async def story(queue, clock):
        queue.add_after("a", 10)
        queue.add_after("a", 5)
        queue.add_after("a", 20)
        await clock.advance(5)
        assert len(queue) == 1
        await queue.get()
        queue.done("a")
        await clock.advance(60)
        assert len(queue) == 0

    with_queue(story)


def test_a_delay_of_nothing_is_now():
    async def story(queue, clock):
        queue.add_after("a", 0)
        assert len(queue) == 1

    with_queue(story)


def test_failures_wait_longer_each_time_until_forgotten():
    async def story(queue, clock):
        waits = []
        for _ in range(5):
            queue.add_failed("a")
            before_s = clock.monotonic()
            task = asyncio.ensure_future(queue.get())
            while not task.done():
                await clock.advance(1)
            waits.append(clock.monotonic() - before_s)
            queue.done("a")
        assert waits == [1, 2, 4, 8, 8]
        assert queue.failures("a") == 5
        queue.forget("a")
        assert queue.failures("a") == 0

    with_queue(story, Backoff(initial_s=1, max_s=8))


def test_closing_lets_no_timer_fire():
    async def story(queue, clock):
        queue.add_after("a", 1)
        queue.close()
        await clock.advance(2)
        assert len(queue) == 0

    with_queue(story)


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3)), max_size=60))
def test_no_key_is_worked_on_twice_at_once_and_none_is_lost(steps):
    async def story(queue, clock):
        working: list[int] = []
        owed: set[int] = set()
        for step, key in steps:
            if step == "add":
                queue.add(key)
                owed.add(key)
            elif step == "get" and len(queue):
                got = await queue.get()
                assert got not in working
                working.append(got)
                owed.discard(got)
            elif step == "done" and key in working:
                working.remove(key)
                queue.done(key)
        for key in working:
            queue.done(key)
        left = set()
        while len(queue):
            left.add(await queue.get())
        assert left == owed

    with_queue(story)


def test_a_key_goes_to_who_still_waits_when_others_are_cancelled():
    async def story(queue, clock):
        workers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
        await clock.settle()
        queue.add("a")
        for worker in (workers[1], workers[0]):
            worker.cancel()
        await clock.settle()
        assert [worker.cancelled() for worker in workers] == [True, True, False]
        assert await workers[2] == "a"

    with_queue(story)
