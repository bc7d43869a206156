"""The least and the most that something costs or holds. The most stops at 2^64-1."""

from math import ceil
from typing import NamedTuple

MOST = 2**64 - 1


class Range(NamedTuple):
    least: int
    most: int

    def plus(self, other: "Range") -> "Range":
        return Range(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def times(self, other: "Range") -> "Range":
        return Range(min(self.least * other.least, MOST), min(self.most * other.most, MOST))

    def scaled(self, factor: float) -> "Range":
        return Range(_scaled(self.least, factor), _scaled(self.most, factor))

    def either(self, other: "Range") -> "Range":
        return Range(min(self.least, other.least), max(self.most, other.most))


def _scaled(number: int, factor: float) -> int:
    return min(ceil(number * factor), MOST)


def exactly(number: int) -> Range:
    return Range(number, number)


NOTHING, ONE, UNKNOWN = exactly(0), exactly(1), Range(0, MOST)
NOT_YET = Range(MOST, 0)
