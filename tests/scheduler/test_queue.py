"""The order in which pods are decided, and when one that did not fit is tried again."""

import asyncio

from kajitori.kit.clock import VirtualClock
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.queue import SchedulingQueue


def _view(pod, name, priority=0):
    return PodView(pod(name, priority=priority))


def _now_ready(queue):
    async def take():
        return await asyncio.wait_for(queue.get(), 0.01)

    return take()


async def _none_ready(queue):
    getting = asyncio.ensure_future(queue.get())
    for _ in range(5):
        await asyncio.sleep(0)
    waiting = not getting.done()
    getting.cancel()
    return waiting


def test_priority_first_then_age(pod):
    async def scenario():
        queue = SchedulingQueue(VirtualClock())
        for name, priority in (("old", 0), ("young", 0), ("vip", 10)):
            queue.put(_view(pod, name, priority))
        return [(await queue.get()).name for _ in range(3)]

    assert asyncio.run(scenario()) == ["vip", "old", "young"]


def test_a_pod_that_did_not_fit_waits_for_a_change_and_its_back_off():
    async def scenario(pod_view):
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        queue.put(pod_view)
        pod = await queue.get()
        queue.failed(pod, queue.changes)
        await clock.advance(60)
        assert await _none_ready(queue)
        queue.something_changed()
        assert (await _now_ready(queue)) is pod
        queue.failed(pod, queue.changes)
        queue.something_changed()
        assert await _none_ready(queue)
        await clock.advance(2)
        assert (await _now_ready(queue)) is pod

    document = {"metadata": {"name": "p", "namespace": "n", "uid": "1"}, "spec": {"containers": []}}
    asyncio.run(scenario(PodView(document)))


def test_a_change_during_the_decision_is_not_missed(pod):
    async def scenario():
        clock = VirtualClock()
        queue = SchedulingQueue(clock)
        queue.put(_view(pod, "p"))
        taken = await queue.get()
        before = queue.changes
        queue.something_changed()
        queue.failed(taken, before)
        await clock.advance(1)
        assert (await _now_ready(queue)).name == "p"

    asyncio.run(scenario())


def test_a_removed_pod_is_not_handed_out(pod):
    async def scenario():
        queue = SchedulingQueue(VirtualClock())
        gone, stays = _view(pod, "gone"), _view(pod, "stays")
        queue.put(gone)
        queue.put(stays)
        queue.remove(gone.uid)
        assert (await queue.get()).name == "stays"
        assert len(queue) == 1

    asyncio.run(scenario())
