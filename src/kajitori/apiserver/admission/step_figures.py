"""How long admission takes, as a whole and by plugin, under upstream's names.

Every write is counted and its two steps are timed. Each plugin by itself is timed in at most fifty writes a second of
an operation, and such a write then stands for those since the one before: at a few thousand writes a second, timing
twenty plugins in each would cost more than the plugins.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from kajitori.apiserver.exposition import Distribution, Family, Labels
from kajitori.apiserver.series import Histogram

_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_TIMED_EVERY_S = 0.02
_PREFIX = "apiserver_admission_"


class StepFigures:
    def __init__(self, now_s: Callable[[], float], name_of: Callable[[Any], str]) -> None:
        """`now_s` is monotonic; `name_of` tells upstream's name of a plugin."""
        self.now_s = now_s
        self._name_of = name_of
        self._plugins = Histogram(
            f"{_PREFIX}controller_admission_duration_seconds",
            "How long each plugin took.",
            "name type operation rejected",
            _BUCKETS_S,
        )
        self._steps: dict[tuple[str, str], Step] = {}

    def step(self, kind: str, operation: str) -> "Step":
        """`kind` is "admit" or "validate"."""
        found = self._steps.get((kind, operation))
        if found is None:
            found = self._steps[kind, operation] = Step(self, kind, operation)
        return found

    def plugin(self, plugin: object, step: "Step", rejected: str, duration_s: float, times: int) -> None:
        self._plugins.add(duration_s, self._name_of(plugin), step.kind, step.operation, rejected, times=times)

    @property
    def families(self) -> tuple[Family, ...]:
        def steps() -> list[tuple[Labels, Distribution]]:
            return [
                (
                    {"type": step.kind, "operation": step.operation, "rejected": rejected},
                    Distribution(_BUCKETS_S, counts, step.sums_s[rejected]),
                )
                for step in self._steps.values()
                for rejected, counts in step.counts.items()
                if any(counts)
            ]

        name, help = f"{_PREFIX}step_admission_duration_seconds", "How long all plugins took together."
        return Family(name, "histogram", help, steps), self._plugins.family


class Step:
    """All writes of one operation in one step."""

    __slots__ = ("_figures", "_passed", "_stands_for", "_timed_s", "counts", "kind", "operation", "sums_s")

    def __init__(self, figures: StepFigures, kind: str, operation: str) -> None:
        self._figures = figures
        self.kind = kind
        self.operation = operation
        self.counts = {rejected: [0] * (len(_BUCKETS_S) + 1) for rejected in ("false", "true")}
        self.sums_s = {"false": 0.0, "true": 0.0}
        self._passed = self.counts["false"]
        self._timed_s = figures.now_s() - _TIMED_EVERY_S
        self._stands_for = 0

    def laps(self, began_s: float) -> "Laps | None":
        """What times the plugins of this write one by one, if it is one of those."""
        self._stands_for += 1
        if began_s - self._timed_s < _TIMED_EVERY_S:
            return None
        stands_for, self._stands_for, self._timed_s = self._stands_for, 0, began_s
        return Laps(self._figures, self, began_s, stands_for)

    def passed(self, duration_s: float) -> None:
        self._passed[0 if duration_s <= _BUCKETS_S[0] else bisect_left(_BUCKETS_S, duration_s)] += 1
        self.sums_s["false"] += duration_s

    def refused(self, plugin: object, duration_s: float) -> None:
        self.counts["true"][bisect_left(_BUCKETS_S, duration_s)] += 1
        self.sums_s["true"] += duration_s
        self._figures.plugin(plugin, self, "true", duration_s, 1)


class Laps:
    """One write whose plugins are timed."""

    def __init__(self, figures: StepFigures, step: Step, began_s: float, stands_for: int) -> None:
        self._figures = figures
        self._step = step
        self._last_s = began_s
        self._stands_for = stands_for

    def passed(self, plugin: object) -> None:
        now_s = self._figures.now_s()
        self._figures.plugin(plugin, self._step, "false", now_s - self._last_s, self._stands_for)
        self._last_s = now_s
