"""Work on large documents, done in a thread beside the event loop.

A body of 3 MiB can mean seconds of work in Python: a million YAML scalars, forty thousand list items to be merged. In
another thread that work and the loop take turns every few milliseconds, so that everybody else goes on being served.
There is one thread: several would leave the loop a smaller share each, and what is large can wait for what is large.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

LARGE_BYTES = 64 * 1024
"""Documents up to this size cost less than a tenth of a second, whatever they say; to change threads costs 0.1 ms."""

P = ParamSpec("P")
T = TypeVar("T")


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
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="large-documents")
        self.busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
        finally:
            self.busy -= 1

    def close(self) -> None:
        """Work that has begun is finished by nobody's wish, and not waited for."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
