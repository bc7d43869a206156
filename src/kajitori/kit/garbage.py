"""Collections of cyclic garbage that stay short however much a process holds.

Whenever what is new has grown by a quarter, Python looks at everything again: with 20,000 objects in a cache that is
30 ms in which nobody is answered, and more with every object. So what has outlived a full collection is set aside. It
is freed as ever when nothing refers to it any more; only cycles among it are not found. For their sake everything is
looked at again now and then, at the next full collection after `THOROUGH_EVERY_S`: a process at rest does nothing.
"""

import gc
from collections.abc import Mapping
from typing import Any

from kajitori.kit.clock import Clock

THOROUGH_EVERY_S = 600.0
_OLDEST = 2


class ShortCollections:
    """For the life of the process. Python calls it in whichever thread a collection happens to run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._thorough_at_s = clock.monotonic() + THOROUGH_EVERY_S

    def start(self) -> None:
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self.collecting)

    def collecting(self, phase: str, info: Mapping[str, Any]) -> None:
        """What `gc.callbacks` calls before and after each collection."""
        if info["generation"] != _OLDEST:
            return
        if phase == "stop":
            gc.freeze()
        elif self._clock.monotonic() >= self._thorough_at_s:
            self._thorough_at_s = self._clock.monotonic() + THOROUGH_EVERY_S
            gc.unfreeze()
