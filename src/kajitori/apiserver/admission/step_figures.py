"""How long admission takes, as a whole and by plugin, under upstream's names.

Every write is counted and its two steps are timed. Each plugin by itself is timed in at most two hundred writes a
second of an operation, and such a write then stands for those since the one before: at a few thousand writes a second,
timing twenty plugins in each would cost more than the plugins.
"""

from collections.abc import Callable
from typing import Any

from kajitori.apiserver.exposition import Family
from kajitori.apiserver.series import Histogram

_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
_TIMED_EVERY_S = 0.005
_PREFIX = "apiserver_admission_"


class StepFigures:
    def __init__(self, now_s: Callable[[], float], name_of: Callable[[Any], str]) -> None:
        """`now_s` is monotonic; `name_of` tells upstream's name of a plugin."""
        self._now_s = now_s
        self._name_of = name_of
        self._steps = Histogram(
            f"{_PREFIX}step_admission_duration_seconds",
            "How long all plugins took together.",
            "type operation rejected",
            _BUCKETS_S,
        )
        self._plugins = Histogram(
            f"{_PREFIX}controller_admission_duration_seconds",
            "How long each plugin took.",
            "name type operation rejected",
            _BUCKETS_S,
        )
        self._untimed: dict[tuple[str, str], list[float]] = {}
        """By step and operation: when plugins were last timed, and how many writes since."""

    def begin(self, kind: str, operation: str) -> "Step":
        """`kind` is "admit" or "validate"."""
        now_s = self._now_s()
        last = self._untimed.get((kind, operation))
        if last is None:
            last = self._untimed[kind, operation] = [now_s - _TIMED_EVERY_S, 0]
        last[1] += 1
        stands_for = 0
        if now_s - last[0] >= _TIMED_EVERY_S:
            stands_for, last[0], last[1] = int(last[1]), now_s, 0
        return Step(self, kind, operation, now_s, stands_for)

    def ended(self, step: "Step", *, rejected: bool) -> None:
        self._steps.add(self._now_s() - step.began_s, step.kind, step.operation, "true" if rejected else "false")

    def passed(self, plugin: object, step: "Step") -> None:
        now_s = self._now_s()
        duration_s, step.lap_s = now_s - step.lap_s, now_s
        labels = (self._name_of(plugin), step.kind, step.operation, "false")
        self._plugins.add(duration_s, *labels, times=step.stands_for)

    def refused(self, plugin: object, step: "Step") -> None:
        duration_s = self._now_s() - step.lap_s if step.stands_for else 0.0
        self._plugins.add(duration_s, self._name_of(plugin), step.kind, step.operation, "true")

    @property
    def families(self) -> tuple[Family, ...]:
        return self._steps.family, self._plugins.family


class Step:
    """One request in one step. `stands_for` is 0 where plugins are not timed one by one."""

    __slots__ = ("_figures", "began_s", "kind", "lap_s", "operation", "stands_for")

    def __init__(self, figures: StepFigures, kind: str, operation: str, began_s: float, stands_for: int) -> None:
        self._figures = figures
        self.kind = kind
        self.operation = operation
        self.began_s = self.lap_s = began_s
        self.stands_for = stands_for

    def passed(self, plugin: object) -> None:
        if self.stands_for:
            self._figures.passed(plugin, self)

    def refused(self, plugin: object) -> None:
        self._figures.refused(plugin, self)
        self._figures.ended(self, rejected=True)

    def end(self) -> None:
        self._figures.ended(self, rejected=False)
