"""Waiting longer after each failure, up to a limit."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow from `initial_s` by `factor` to `max_s`; `jitter` adds up to that share at random."""

    initial_s: float = 0.1
    max_s: float = 60.0
    factor: float = 2.0
    jitter: float = 0.0

    def delay_s(self, failures: int, rng: random.Random | None = None) -> float:
        """How long to wait after this many failures in a row (1 is the first)."""
        exponent = min(max(failures - 1, 0), 64)
        delay = min(self.initial_s * self.factor**exponent, self.max_s)
        return delay * (1 + self.jitter * rng.random()) if rng and self.jitter else delay
