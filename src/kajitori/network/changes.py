"""Waking a loop when something changed: at once the first time, then not more often than an interval allows."""

import asyncio

from kajitori.kit.clock import Clock


class Changes:
    """Any number of marks between two waits count as one, so there is nothing to overflow."""

    def __init__(self, clock: Clock, interval_s: float) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._event = asyncio.Event()
        self._last_s = float("-inf")

    def mark(self, *_: object) -> None:
        """Something changed. Takes and ignores what an informer tells its handlers."""
        self._event.set()

    async def wait(self) -> None:
        """Return when something has changed since the last return, and the interval has passed."""
        await self._event.wait()
        remaining_s = self._last_s + self._interval_s - self._clock.monotonic()
        if remaining_s > 0:
            await self._clock.sleep(remaining_s)
        self._event.clear()
        self._last_s = self._clock.monotonic()
