"""Pods that wait for a node: by priority, then age; one that did not fit waits for a change, then backs off."""

import asyncio
import heapq
from dataclasses import dataclass

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, Timer
from kajitori.scheduler.framework import Change
from kajitori.scheduler.pod_view import PodView

BACKOFF = Backoff(initial_s=1.0, max_s=10.0)
UNSCHEDULABLE_MAX_S = 300.0
"""A pod that waits for a change is tried again after this long in any case, as upstream does: a net, not a poll."""

_Order = tuple[int, float, int]
"""Smaller is earlier: negative priority, since when it waits (monotonic), a running number."""


@dataclass(slots=True)
class _Waiting:
    """One pod. `attempts` have failed; it may be tried again from `not_before_s` (monotonic) on."""

    pod: PodView
    order: _Order
    attempts: int = 0
    not_before_s: float = 0.0
    wakes_on: Change = Change.ANY


class SchedulingQueue:
    """Holds each pod once: ready, backing off, unschedulable, or out being decided. Bounded by the pods that exist."""

    def __init__(self, clock: Clock, backoff: Backoff = BACKOFF) -> None:
        self._clock = clock
        self._backoff = backoff
        self._known: dict[str, _Waiting] = {}
        self._ready: list[tuple[_Order, str]] = []
        self._is_ready: set[str] = set()
        self._unschedulable: set[str] = set()
        self._timers: dict[str, Timer] = {}
        self._sequence = 0
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, uid: str) -> bool:
        return uid in self._known

    def put(self, pod: PodView) -> None:
        """A pod without a node is new, or its specification changed."""
        waiting = self._known.get(pod.uid)
        if waiting is None:
            self._known[pod.uid] = _Waiting(pod, self._last_of(pod))
            self._make_ready(pod.uid)
            return
        asks_differently = waiting.pod.spec != pod.spec or waiting.pod.labels != pod.labels
        waiting.pod = pod
        if asks_differently and pod.uid in self._unschedulable:
            self._retry(pod.uid)

    def remove(self, uid: str) -> None:
        """The pod has a node or is gone."""
        self._known.pop(uid, None)
        self._is_ready.discard(uid)
        self._unschedulable.discard(uid)
        self._stop_timer(uid)

    def something_changed(self, change: Change) -> None:
        """Pods that wait for such a change are tried again once their back-off is over."""
        for uid in [uid for uid in self._unschedulable if self._known[uid].wakes_on & change]:
            self._retry(uid)

    async def get(self) -> PodView:
        """The next pod to decide about."""
        while True:
            while self._ready:
                _, uid = heapq.heappop(self._ready)
                if uid in self._is_ready:
                    self._is_ready.discard(uid)
                    return self._known[uid].pod
            self._wakeup.clear()
            await self._wakeup.wait()

    def failed(self, pod: PodView, wakes_on: Change) -> None:
        """It did not fit, and will not before such a change."""
        waiting = self._failed(pod)
        if waiting is not None:
            waiting.wakes_on = wakes_on
            self._unschedulable.add(pod.uid)
            self._timers[pod.uid] = self._clock.call_later(UNSCHEDULABLE_MAX_S, lambda: self._retry(pod.uid))

    def failed_for_now(self, pod: PodView) -> None:
        """Something else went wrong (the server did not take the binding): try again after the back-off."""
        if self._failed(pod) is not None:
            self._retry(pod.uid)

    def _failed(self, pod: PodView) -> _Waiting | None:
        waiting = self._known.get(pod.uid)
        if waiting is not None:
            waiting.attempts += 1
            waiting.not_before_s = self._clock.monotonic() + self._backoff.delay_s(waiting.attempts)
            waiting.order = self._last_of(waiting.pod)
            self._stop_timer(pod.uid)
        return waiting

    def _last_of(self, pod: PodView) -> _Order:
        self._sequence += 1
        return -pod.priority, self._clock.monotonic(), self._sequence

    def _retry(self, uid: str) -> None:
        self._unschedulable.discard(uid)
        self._stop_timer(uid)
        delay_s = self._known[uid].not_before_s - self._clock.monotonic()
        if delay_s <= 0:
            self._make_ready(uid)
        else:
            self._timers[uid] = self._clock.call_later(delay_s, lambda: self._make_ready(uid))

    def _stop_timer(self, uid: str) -> None:
        if timer := self._timers.pop(uid, None):
            timer.cancel()

    def _make_ready(self, uid: str) -> None:
        self._stop_timer(uid)
        self._is_ready.add(uid)
        heapq.heappush(self._ready, (self._known[uid].order, uid))
        self._wakeup.set()
