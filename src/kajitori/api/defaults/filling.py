"""How a field is filled in: what counts as left out, and how an absent part comes to exist."""

from collections.abc import Iterable
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.quantity import round_up


def fill(obj: Object, **values: Any) -> None:
    """Set what is absent or null: for fields in which zero, false and "" are choices of their own."""
    for key, value in values.items():
        if obj.get(key) is None:
            obj[key] = value


def fill_zero(obj: Object, **values: Any) -> None:
    """Set what is absent, null, zero or "": for fields where the API cannot tell these apart."""
    for key, value in values.items():
        if not obj.get(key):
            obj[key] = value


def part(obj: Object, *path: str) -> Object:
    """The nested object at a path, made (empty) where it is absent."""
    for key in path:
        child = obj.get(key)
        if child is None:
            child = obj[key] = {}
        obj = child
    return obj


def each(obj: Object, key: str) -> Iterable[Object]:
    """The objects of a list that may be absent."""
    return obj.get(key) or ()


def round_amounts(obj: Object, *keys: str) -> None:
    """Round the quantities of resource lists up to thousandths: no finer amount is accounted for."""
    for key in keys:
        if amounts := obj.get(key):
            obj[key] = {name: round_up(quantity) for name, quantity in amounts.items()}
