"""A queue of keys in which a key waits at most once and is never worked on twice at the same time."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock, Timer

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Deduplicating, delaying, rate-limiting. Bounded by the number of distinct keys, because a key is held once.

    A key added while it is being worked on is handed out again after `done`.
    """

    def __init__(self, clock: Clock, backoff: Backoff | None = None) -> None:
        self._clock = clock
        self._backoff = backoff or Backoff(initial_s=0.005, max_s=60.0)
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, tuple[float, Timer]] = {}
        self._wakeup: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._wake_one()

    def _wake_one(self) -> None:
        while self._wakeup:
            waiter = self._wakeup.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    def add_after(self, key: K, delay_s: float) -> None:
        """Add when `delay_s` has passed; the earlier of two pending delays wins."""
        if delay_s <= 0:
            self.add(key)
            return
        due_s = self._clock.monotonic() + delay_s
        if key in self._timers:
            earlier_s, timer = self._timers[key]
            if earlier_s <= due_s:
                return
            timer.cancel()
        self._timers[key] = (due_s, self._clock.call_later(delay_s, lambda: self._fire(key)))

    def _fire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def add_failed(self, key: K) -> None:
        """Add again after a back-off that grows with every failure of this key."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self.add_after(key, self._backoff.delay_s(failures))

    def forget(self, key: K) -> None:
        """The key succeeded: its back-off starts anew."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> K:
        while not self._ready:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._wakeup.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and self._ready:
                    self._wake_one()  # what it was woken for is somebody else's
                raise
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
