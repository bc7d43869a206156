"""Work on large documents, done in a thread beside the event loop.

A body of 3 MiB can mean seconds of work in Python: a million YAML scalars, forty thousand list items to be merged. In
another thread that work and the loop take turns every few milliseconds, so that everybody else goes on being served.
There is one thread: several would leave the loop a smaller share each, and what is large can wait for what is large.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

LARGE_BYTES = 64 * 1024
"""Documents up to this size cost less than a tenth of a second, whatever they say; to change threads costs 0.1 ms."""

P = ParamSpec("P")
T = TypeVar("T")


_hurried: ContextVar[bool] = ContextVar("hurried", default=False)


class TakesLong(Exception):
    """Raised by work that finds out on the event loop how long it is: it is done again, aside."""


def in_a_hurry() -> bool:
    """Whether the caller may raise TakesLong."""
    return _hurried.get()


class Aside:
    """How many wait for the thread is bounded by priority and fairness, as all requests under way are."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self.busy = 0
        """Pieces of work that are not done yet."""

    async def run(self, size_bytes: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work`, which must touch nothing that the event loop changes meanwhile. It is called here and
        now unless `size_bytes` is large."""
        if size_bytes <= LARGE_BYTES:
            return work(*args, **kwargs)
        return await self._apart(lambda: work(*args, **kwargs))

    async def attempt(self, size_bytes: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for work whose size does not say how long it is: it may raise TakesLong."""
        if size_bytes <= LARGE_BYTES:
            token = _hurried.set(True)
            try:
                return work(*args, **kwargs)
            except TakesLong:
                pass
            finally:
                _hurried.reset(token)
        return await self._apart(lambda: work(*args, **kwargs))

    async def _apart(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-documents")
        self.busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self.busy -= 1

    def close(self) -> None:
        """Work that has begun is finished by nobody's wish, and not waited for."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
