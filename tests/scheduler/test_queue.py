"""The order in which pods are decided, and when one that did not fit is tried again."""

import asyncio

from kajitori.kit.clock import VirtualClock
from kajitori.scheduler.framework import Change
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.queue import SchedulingQueue


def _view(pod, name, priority=0):
    return PodView(pod(name, priority=priority))


async def _ready(queue, clock):
    """Names of all pods that can be decided now."""
    names = []
    while True:
        getting = asyncio.ensure_future(queue.get())
        await clock.settle()
        if not getting.done():
            getting.cancel()
            return names
        names.append(getting.result().name)


def test_priority_first_then_age(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        for name, priority in (("old", 0), ("young", 0), ("vip", 10)):
            queue.put(_view(pod, name, priority))
        return await _ready(queue, clock)

    assert asyncio.run(scenario()) == ["vip", "old", "young"]


def test_a_pod_that_did_not_fit_waits_for_a_fitting_change_and_its_back_off(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        view = _view(pod, "p")
        queue.put(view)
        assert await _ready(queue, clock) == ["p"]
        queue.failed(view, Change.NODE)
        await clock.advance(60)
        queue.something_changed(Change.STORAGE)
        assert await _ready(queue, clock) == []
        queue.something_changed(Change.NODE)
        assert await _ready(queue, clock) == ["p"]
        queue.failed(view, Change.NODE)
        queue.something_changed(Change.NODE)
        assert await _ready(queue, clock) == []
        await clock.advance(2)
        assert await _ready(queue, clock) == ["p"]

    asyncio.run(scenario())


def test_nothing_waits_forever(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        view = _view(pod, "p")
        queue.put(view)
        await queue.get()
        queue.failed(view, Change.NODE)
        await clock.advance(299)
        assert await _ready(queue, clock) == []
        await clock.advance(2)
        assert await _ready(queue, clock) == ["p"]

    asyncio.run(scenario())


def test_who_failed_goes_behind_who_waited(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        first = _view(pod, "first")
        queue.put(first)
        await queue.get()
        await clock.advance(0.5)
        queue.put(_view(pod, "second"))
        await clock.advance(0.5)
        queue.failed_for_now(first)
        await clock.advance(1)
        return await _ready(queue, clock)

    assert asyncio.run(scenario()) == ["second", "first"]


def test_a_pod_that_asks_for_something_else_is_tried_again(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        document = pod("p")
        queue.put(PodView(document))
        view = await queue.get()
        queue.failed(view, Change.NODE)
        await clock.advance(10)
        queue.put(PodView({**document, "status": {"phase": "Pending"}}))
        assert await _ready(queue, clock) == []
        queue.put(PodView({**document, "spec": {**document["spec"], "tolerations": [{"operator": "Exists"}]}}))
        assert await _ready(queue, clock) == ["p"]

    asyncio.run(scenario())


def test_a_removed_pod_is_not_handed_out(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        gone, stays = _view(pod, "gone"), _view(pod, "stays")
        queue.put(gone)
        queue.put(stays)
        queue.remove(gone.uid)
        assert await _ready(queue, clock) == ["stays"]
        assert len(queue) == 1

    asyncio.run(scenario())
