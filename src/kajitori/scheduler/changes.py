"""What changed in the node table since someone last looked, so that an answer can be mended instead of made anew."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = slice | NDArray[np.intp]
ALL = slice(None)
Answer = NDArray[Any]
LOG_MAX = 4096
"""Changed rows remembered; who looks more rarely computes everything again."""
ANSWERS_MAX = 256
"""Answers kept (5,000 nodes: 5 to 40 kB each); the one asked for longest ago goes."""


class ChangeLog:
    """Rows in the order in which they changed; `revision` counts all there ever were."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self.revision = 0

    def note(self, row: int) -> None:
        self._rows.append(row)
        self.revision += 1
        if len(self._rows) > LOG_MAX:
            del self._rows[: LOG_MAX // 2]

    def since(self, revision: int) -> list[int] | None:
        """None when it is too long ago to tell."""
        count = self.revision - revision
        if count > len(self._rows):
            return None
        return self._rows[-count:] if count else []


@dataclass(slots=True)
class _Remembered:
    answer: Any
    revision: int


class Answers:
    """Answers by what was asked. An array handed out may be mended in place later: use it at once, never keep it."""

    def __init__(self) -> None:
        self._known: dict[Hashable, _Remembered] = {}

    def by_row(self, key: Hashable, log: ChangeLog, rows: int, compute: Callable[[Rows], Answer]) -> Any:
        """`compute(rows)` gives the answer for some rows, each depending on nothing but its own row."""
        known = self._known.pop(key, None)
        changed = None if known is None or len(known.answer) != rows else log.since(known.revision)
        if known is None or changed is None or len(changed) > rows // 4:
            known = _Remembered(compute(ALL), log.revision)
        elif changed:
            # One row, as after placing one pod, is looked at as a view: half the time of a copy.
            one = len(set(changed)) == 1
            some: Rows = slice(changed[0], changed[0] + 1) if one else np.array(changed)
            known.answer[some] = compute(some)
            known.revision = log.revision
        return self._keep(key, known)

    def whole(self, key: Hashable, log: ChangeLog, compute: Callable[[], Any]) -> Any:
        """Made anew after any change."""
        known = self._known.pop(key, None)
        if known is None or known.revision != log.revision:
            known = _Remembered(compute(), log.revision)
        return self._keep(key, known)

    def _keep(self, key: Hashable, known: _Remembered) -> Any:
        self._known[key] = known
        if len(self._known) > ANSWERS_MAX:
            del self._known[next(iter(self._known))]
        return known.answer
