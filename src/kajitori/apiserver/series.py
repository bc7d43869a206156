"""Counters and histograms with labels whose values are not known before.

Each holds `SERIES_MAX` series at most; when it is full the oldest goes, as if the server had started anew.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Generic, TypeVar

from kajitori.apiserver.exposition import Distribution, Family, Labels

SERIES_MAX = 4096
T = TypeVar("T")


class _Series(Generic[T]):
    def __init__(self, name: str, help: str, labels: str) -> None:
        """`labels` are their names, with a space between."""
        self.name = name
        self.help = help
        self._labels = labels.split()
        self._kept: dict[tuple[str, ...], T] = {}

    def _put(self, values: tuple[str, ...], first: T) -> None:
        if len(self._kept) >= SERIES_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[values] = first

    def _named(self, values: tuple[str, ...]) -> Labels:
        return dict(zip(self._labels, values, strict=True))


class Counter(_Series[int]):
    def add(self, *values: str) -> None:
        """One more with these labels."""
        if values in self._kept:
            self._kept[values] += 1
        else:
            self._put(values, 1)

    @property
    def family(self) -> Family:
        return Family(
            self.name,
            "counter",
            self.help,
            lambda: [(self._named(values), count) for values, count in self._kept.items()],
        )


class _Durations:
    __slots__ = ("counts", "sum_s")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum_s = 0.0


class Histogram(_Series[_Durations]):
    def __init__(self, name: str, help: str, labels: str, bounds_s: Sequence[float]) -> None:
        super().__init__(name, help, labels)
        self._bounds_s = bounds_s

    def add(self, duration_s: float, *values: str, times: int = 1) -> None:
        """One more with these labels, or as many as this one stands for."""
        if values not in self._kept:
            self._put(values, _Durations(len(self._bounds_s) + 1))
        found = self._kept[values]
        found.counts[bisect_left(self._bounds_s, duration_s)] += times
        found.sum_s += duration_s * times

    @property
    def family(self) -> Family:
        return Family(
            self.name,
            "histogram",
            self.help,
            lambda: [
                (self._named(values), Distribution(self._bounds_s, found.counts, found.sum_s))
                for values, found in self._kept.items()
            ],
        )
