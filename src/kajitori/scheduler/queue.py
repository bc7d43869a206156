"""Pods that wait for a node: by priority, then age; one that did not fit waits for a change, then backs off."""

import asyncio
import heapq
from dataclasses import dataclass

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, Timer
from kajitori.scheduler.pod_view import PodView


@dataclass(slots=True)
class _Waiting:
    """One pod. `attempts` have failed; it may be tried again from `not_before_s` (monotonic) on."""

    pod: PodView
    order: tuple[int, float, int]
    attempts: int = 0
    not_before_s: float = 0.0


class SchedulingQueue:
    """Holds each pod once: ready, backing off, unschedulable, or out being decided. Bounded by the pods that exist."""

    def __init__(self, clock: Clock, backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff(initial_s=1.0, max_s=10.0)
        self._known: dict[str, _Waiting] = {}
        self._ready: list[tuple[tuple[int, float, int], str]] = []
        self._is_ready: set[str] = set()
        self._unschedulable: set[str] = set()
        self._timers: dict[str, Timer] = {}
        self._sequence = 0
        self._changes = 0
        self._wakeup = asyncio.Event()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def changes(self) -> int:
        """How often the cluster has changed; given to `failed` so that a change during the decision is not missed."""
        return self._changes

    def put(self, pod: PodView) -> None:
        """A pod without a node is new, or its specification changed."""
        waiting = self._known.get(pod.uid)
        if waiting is None:
            self._sequence += 1
            order = (-pod.priority, self._clock.monotonic(), self._sequence)
            self._known[pod.uid] = _Waiting(pod, order)
            self._make_ready(pod.uid)
        elif _asks_differently(waiting.pod, pod):
            waiting.pod = pod
            self._retry(pod.uid)
        else:
            waiting.pod = pod

    def remove(self, uid: str) -> None:
        """The pod has a node or is gone."""
        self._known.pop(uid, None)
        self._is_ready.discard(uid)
        self._unschedulable.discard(uid)
        if timer := self._timers.pop(uid, None):
            timer.cancel()

    def something_changed(self) -> None:
        """Nodes, pods or volumes changed so that what did not fit may fit now."""
        self._changes += 1
        for uid in list(self._unschedulable):
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

    def failed(self, pod: PodView, changes_before: int) -> None:
        """It did not fit. `changes_before` is `changes` as it was when the decision began."""
        waiting = self._known.get(pod.uid)
        if waiting is None:
            return
        waiting.attempts += 1
        waiting.not_before_s = self._clock.monotonic() + self._backoff.delay_s(waiting.attempts)
        self._unschedulable.add(pod.uid)
        if changes_before != self._changes:
            self._retry(pod.uid)

    def failed_for_now(self, pod: PodView) -> None:
        """Something else went wrong (the server did not take the binding): try again after the back-off."""
        self.failed(pod, -1)

    def _retry(self, uid: str) -> None:
        self._unschedulable.discard(uid)
        if uid in self._is_ready or uid in self._timers:
            return
        delay_s = self._known[uid].not_before_s - self._clock.monotonic()
        if delay_s <= 0:
            self._make_ready(uid)
        else:
            self._timers[uid] = self._clock.call_later(delay_s, lambda: self._make_ready(uid))

    def _make_ready(self, uid: str) -> None:
        self._timers.pop(uid, None)
        waiting = self._known[uid]
        self._is_ready.add(uid)
        heapq.heappush(self._ready, (waiting.order, uid))
        self._wakeup.set()


def _asks_differently(before: PodView, after: PodView) -> bool:
    return before.spec != after.spec or before.labels != after.labels
