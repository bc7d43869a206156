"""How the server's seats are divided among the priority levels, and lent among them (KEP-1040, "Dispatching")."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kajitori.api.meta import Object

_TARGET_MIN = 0.001
_HALVINGS = 60


class SeatLimits(NamedTuple):
    """A level's share of the seats, and between what bounds lending and borrowing may move it."""

    nominal: int
    lower: int
    upper: int


def seat_limits(total: int, specs: Mapping[str, Object]) -> dict[str, SeatLimits]:
    """By name of the level; `specs` are those of PriorityLevelConfigurations."""
    shares = {
        name: _limited(spec).get("nominalConcurrencyShares", _default_shares(spec)) for name, spec in specs.items()
    }
    sum_of_shares = sum(shares.values())
    found = {}
    for name, spec in specs.items():
        nominal = math.ceil(total * shares[name] / sum_of_shares) if sum_of_shares else 0
        limited = _limited(spec)
        lower = nominal - _part(nominal, limited.get("lendablePercent") or 0)
        borrowed = limited.get("borrowingLimitPercent")
        upper = total if borrowed is None else min(total, nominal + _part(nominal, borrowed))
        found[name] = SeatLimits(nominal, lower, max(upper, nominal))
    return found


def _part(seats: int, percent: int) -> int:
    """To the nearest seat; a half is a whole one."""
    return (2 * seats * percent + 100) // 200


def _limited(spec: Object) -> Object:
    return spec.get("limited" if spec.get("type") == "Limited" else "exempt") or {}


def _default_shares(spec: Object) -> int:
    return 30 if spec.get("type") == "Limited" else 0


class Wish(NamedTuple):
    """What a level could use, and what it must and may get."""

    target: float
    lower: float
    upper: float


def allocate(total: int, wishes: Sequence[Wish]) -> list[int]:
    """Seats in proportion to the targets, within everybody's bounds, and together `total` as far as bounds allow.

    What everybody gets grows with the proportion, so the right one is found by halving.
    """
    if not wishes:
        return []
    low, high = 0.0, total / _TARGET_MIN

    def seats(proportion: float) -> list[float]:
        return [min(w.upper, max(w.lower, proportion * max(w.target, _TARGET_MIN))) for w in wishes]

    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(seats(middle)) > total:
            high = middle
        else:
            low = middle
    return [round(given) for given in seats(low)]
