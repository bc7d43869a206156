"""What many conditions on labels or fields come to, name by name.

A query may hold 14,000 conditions, and a list asks them of every object. Put together like this they cost an object
what its own labels cost, however many they are.
"""

import re
from collections.abc import Iterable, Mapping

MANY = 16
"""Fewer are asked one by one: that costs less than to put them together."""


Condition = tuple[str, str, tuple[str, ...]]
"""A label or field, an operator of the API, and its values."""


class _OnOne:
    """All conditions on one label, of an object that has it."""

    __slots__ = ("above", "absent", "allowed", "banned", "below")

    def __init__(self) -> None:
        self.allowed: set[str] | None = None
        self.banned: set[str] = set()
        self.absent = False
        self.above: int | None = None
        self.below: int | None = None

    def add(self, operator: str, values: tuple[str, ...]) -> None:
        match operator:
            case "In":
                self._allow(set(values))
            case "NotIn":
                self.banned.update(values)
            case "DoesNotExist":
                self.absent = True
            case "Gt" | "Lt":
                self._bound(operator, integer(values[0]))

    def _allow(self, values: set[str]) -> None:
        self.allowed = values if self.allowed is None else self.allowed & values

    def _bound(self, operator: str, limit: int | None) -> None:
        if limit is None:
            self._allow(set())
        elif operator == "Gt":
            self.above = limit if self.above is None else max(self.above, limit)
        else:
            self.below = limit if self.below is None else min(self.below, limit)

    def holds(self, value: str) -> bool:
        if self.absent or value in self.banned or (self.allowed is not None and value not in self.allowed):
            return False
        if self.above is None and self.below is None:
            return True
        number = integer(value)
        return (
            number is not None
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )


class Together:
    """Never changed."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._by_key: dict[str, _OnOne] = {}
        needed = set()
        for key, operator, values in conditions:
            self._by_key.setdefault(key, _OnOne()).add(operator, values)
            if operator not in ("NotIn", "DoesNotExist"):
                needed.add(key)
        self._needed = frozenset(needed)

    def of_labels(self, labels: Mapping[str, str]) -> bool:
        """What is asked of labels that an object has not holds, unless they must be there."""
        if not labels.keys() >= self._needed:
            return False
        by_key = self._by_key
        return all(key not in by_key or by_key[key].holds(value) for key, value in labels.items())

    def of_fields(self, fields: Mapping[str, str]) -> bool:
        """A field that is not there counts as the empty string. There are as many as the kind can be selected by."""
        return all(one.holds(fields.get(key, "")) for key, one in self._by_key.items())


def integer(text: str | None) -> int | None:
    """A whole number of 64 bits, as the operators Gt and Lt compare them."""
    if text is None or not re.fullmatch(r"[+-]?[0-9]{1,63}", text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
