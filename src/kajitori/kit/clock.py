"""Time as something that is handed in, so that a test or a simulation can own it."""

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What a part may ask of time. Seconds everywhere."""

    def now(self) -> float:
        """Wall time in seconds since the epoch; what timestamps in objects are made from."""

    def monotonic(self) -> float:
        """Seconds that never go back; what durations are measured with."""

    async def sleep(self, duration_s: float) -> None: ...

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> "Timer": ...


class Timer(Protocol):
    def cancel(self) -> None: ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(duration_s)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)


class _VirtualTimer:
    __slots__ = ("callback", "cancelled")

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """Time that moves only when `advance` says so, from timer to timer, letting every task settle in between."""

    # A task that is still not waiting after this many turns of the loop is spinning.
    SETTLE_TURNS = 100

    def __init__(self, start_s: float = 1_800_000_000.0) -> None:
        self._now_s = start_s
        self._timers: list[tuple[float, int, _VirtualTimer]] = []
        self._sequence = 0

    def now(self) -> float:
        return self._now_s

    def monotonic(self) -> float:
        return self._now_s

    async def sleep(self, duration_s: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        timer = self.call_later(max(0.0, duration_s), wake)
        try:
            await future
        finally:
            timer.cancel()

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = _VirtualTimer(callback)
        self._sequence += 1
        heapq.heappush(self._timers, (self._now_s + delay_s, self._sequence, timer))
        return timer

    async def settle(self) -> None:
        """Let every task that can run, run."""
        for _ in range(self.SETTLE_TURNS):
            await asyncio.sleep(0)

    async def advance(self, duration_s: float) -> None:
        """Move time forward, firing each timer at its own moment."""
        end_s = self._now_s + duration_s
        await self.settle()
        while self._timers and self._timers[0][0] <= end_s:
            due_s, _, timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self._now_s = max(self._now_s, due_s)
            timer.callback()
            await self.settle()
        self._now_s = end_s


async def within(clock: Clock, timeout_s: float, awaitable: Awaitable[T]) -> T:
    """Await with a limit measured on this clock; raises TimeoutError."""
    task = asyncio.ensure_future(awaitable)
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = clock.call_later(timeout_s, expire)
    try:
        return await task
    except asyncio.CancelledError:
        if expired:
            raise TimeoutError(f"nothing happened within {timeout_s:g} s") from None
        task.cancel()
        raise
    finally:
        timer.cancel()
