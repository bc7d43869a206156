"""What a call costs when it runs, in upstream's units (about 50 ns of its machine). Selections and literals: `planner`.

A factor of 0.1 per character stands for walking through a string, 0.25 for a character of a pattern.
"""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from kajitori.api.cel.ast import Call
from kajitori.api.cel.types import SCALAR_KINDS
from kajitori.api.cel.values import Opaque, size_of

CALL_LIMIT = 1_000_000
"""One expression: upstream's PerCallLimit."""
OBJECT_LIMIT = 10_000_000
"""All expressions about one object: upstream's RuntimeCELCostBudget."""
MATCH_CONDITIONS_LIMIT = 2_500_000

PER_CHARACTER, PER_PATTERN_CHARACTER = 0.1, 0.25
AUTHORIZATION_COST = 350_000
Cost = Callable[[tuple[Any, ...], Any], int]
_CHEAP_KINDS = SCALAR_KINDS | {"type"}
_FORMAT_PATTERN = 60


def runtime_cost(node: Call) -> Cost | None:
    """The rule for a call; None when it costs 1 whatever it is given."""
    kinds = [operand.type.kind for operand in node.operands]
    if node.function in _OPERATORS and all(kind in _CHEAP_KINDS for kind in kinds):
        return None
    if node.function == "ip" and kinds == ["opaque"]:
        return None
    return _COSTS.get(node.function)


def walk(size: float, factor: float = 1.0) -> int:
    return ceil(size * factor * PER_CHARACTER)


def pattern(text: int, expression: int) -> int:
    return walk(1 + text) * ceil(expression * PER_PATTERN_CHARACTER)


def _equality(values: tuple[Any, ...], _: Any) -> int:
    if isinstance(values[0], Opaque):
        return 1
    return walk(min(size_of(values[0]), size_of(values[1])))


def _order(values: tuple[Any, ...], _: Any) -> int:
    if not isinstance(values[0], str | bytes):
        return 1
    return walk(min(size_of(values[0]), size_of(values[1])))


def _addition(values: tuple[Any, ...], _: Any) -> int:
    if not isinstance(values[0], str | bytes):
        return 1
    return walk(size_of(values[0]) + size_of(values[1]))


def _membership(values: tuple[Any, ...], _: Any) -> int:
    return len(values[1]) if isinstance(values[1], list) else 1


def _walked(factor: float) -> Cost:
    return lambda values, _: walk(size_of(values[0]), factor)


def _converted(values: tuple[Any, ...], _: Any) -> int:
    return walk(size_of(values[0])) if isinstance(values[0], str | bytes) else 1


def _made(values: tuple[Any, ...], result: Any) -> int:
    return walk(size_of(result), 2)


def _matched(values: tuple[Any, ...], _: Any) -> int:
    return pattern(size_of(values[0]), size_of(values[1]))


def _contained(values: tuple[Any, ...], _: Any) -> int:
    return walk(size_of(values[0])) * walk(size_of(values[1]))


def traversal(value: Any) -> int:
    """A walk through everything inside a value."""
    if isinstance(value, str | bytes):
        return int(len(value) * PER_CHARACTER)
    if isinstance(value, list):
        return sum(map(traversal, value))
    if isinstance(value, Mapping):
        return sum(traversal(key) + traversal(each) for key, each in value.items())
    return 1


def _traversed(values: tuple[Any, ...], _: Any) -> int:
    return traversal(values[0])


def _listed(values: tuple[Any, ...], result: Any) -> int:
    return 10 + size_of(values[0]) + size_of(result)


def _sets(factor: int) -> Cost:
    return lambda values, _: 1 + factor * size_of(values[0]) * size_of(values[1])


def _distinct(values: tuple[Any, ...], _: Any) -> int:
    return 10 + size_of(values[0]) ** 2


def _within(factor: int) -> Cost:
    """containsIP and containsCIDR: comparing addresses, after parsing one given as text."""

    def cost(values: tuple[Any, ...], _: Any) -> int:
        own = size_of(values[0])
        parsed = walk(size_of(values[1])) if isinstance(values[1], str) else 0
        extra = walk(own) + 1 if factor == 3 else 0
        return walk(own * 2) + extra + parsed

    return cost


def selector_cost(characters: int) -> int:
    """Parsing a selector, and the requirements that it may have."""
    return 10 + walk(characters) + ceil(ceil(characters * 0.5) * 50)


_OPERATORS = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_"})
_COSTS: Mapping[str, Cost] = {
    "_==_": _equality,
    "_!=_": _equality,
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _order),
    "_+_": _addition,
    "@in": _membership,
    **dict.fromkeys(("startsWith", "endsWith", "format"), _walked(1)),
    **dict.fromkeys(("bytes", "string"), _converted),
    "strings.quote": _walked(1),
    "matches": _matched,
    "contains": _contained,
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _traversed),
    **dict.fromkeys(("url", "lowerAscii", "upperAscii", "substring", "trim", "jsonpatch.escapeKey"), _walked(1)),
    **dict.fromkeys(("replace", "split", "ip.isCanonical"), _walked(2)),
    "join": _made,
    **dict.fromkeys(("find", "findAll"), _matched),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "ip", "quantity", "isQuantity", "semver", "isSemver"), _walked(1)),
    "containsIP": _within(2),
    "containsCIDR": _within(3),
    "validate": lambda values, _: pattern(size_of(values[1]), getattr(values[0], "pattern_size", _FORMAT_PATTERN)),
    "check": lambda values, _: AUTHORIZATION_COST,
    **dict.fromkeys(("fieldSelector", "labelSelector"), lambda values, _: selector_cost(size_of(values[1]))),
    **dict.fromkeys(("slice", "flatten", "reverse", "sort", "@sortByAssociatedKeys"), _listed),
    "lists.range": lambda values, result: 10 + size_of(result),
    "distinct": _distinct,
    **dict.fromkeys(("sets.contains", "sets.intersects"), _sets(1)),
    "sets.equivalent": _sets(2),
}
