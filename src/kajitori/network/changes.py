"""Waking a loop when something changed: at once the first time, then not more often than an interval allows."""

import asyncio
from collections.abc import Awaitable, Callable

from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.network.errors import NetworkError


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

    async def follow(
        self, sync: Callable[[], Awaitable[None]], retry: Backoff, failed: Callable[[NetworkError], None]
    ) -> None:
        """Call `sync` at once and after every change, until cancelled; after `failed`, again when `retry` allows."""
        failures = 0
        self.mark()
        while True:
            await self.wait()
            try:
                await sync()
                failures = 0
            except NetworkError as error:
                failures += 1
                failed(error)
                await self._clock.sleep(retry.delay_s(failures))
                self.mark()
