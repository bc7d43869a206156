"""Collections of cyclic garbage that stay short however much a process holds.

Whenever what is new has grown by a quarter, Python looks at everything again: with 20,000 objects in a cache that is
30 ms in which nobody is answered, and more with every object. So what has outlived a full collection is set aside. It
is freed as ever when nothing refers to it any more; only cycles among it are not found. For their sake everything is
looked at once more, `THOROUGH_AFTER_S` after something was set aside: a process at rest does nothing.
"""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kajitori.kit.clock import Clock

THOROUGH_AFTER_S = 120.0
_OLDEST = 2


class _ShortCollections:
    """`call_soon` may be called from any thread: Python calls `collecting` in whichever a collection happens to run."""

    def __init__(self, clock: Clock, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._clock = clock
        self._call_soon = call_soon
        self._planned = False

    def collecting(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase != "stop" or info["generation"] != _OLDEST:
            return
        gc.freeze()
        if not self._planned:
            self._planned = True
            self._call_soon(self._plan)

    def _plan(self) -> None:
        self._clock.call_later(THOROUGH_AFTER_S, self._look_at_everything)

    def _look_at_everything(self) -> None:
        gc.unfreeze()
        gc.collect()  # sets aside what is left
        self._planned = False


@contextmanager
def short_collections(clock: Clock, call_soon: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """For the whole process, as long as `call_soon` can be called."""
    gc.collect()
    gc.freeze()
    collecting = _ShortCollections(clock, call_soon).collecting
    gc.callbacks.append(collecting)
    try:
        yield
    finally:
        gc.callbacks.remove(collecting)
