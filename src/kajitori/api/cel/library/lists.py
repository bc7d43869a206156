"""Functions of lists: Kubernetes' own (isSorted, sum, min, max, indexOf, lastIndexOf), the lists extension and sets."""

from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.library.standard import add
from kajitori.api.cel.macros import SORT_KEYS
from kajitori.api.cel.values import Duration, UInt, bounded, compare, contains, equal, type_of

_ORDERED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_ZEROS: dict[str, Any] = {"int": 0, "uint": UInt(0), "double": 0.0, "duration": Duration(0)}
_FLATTENED_MAX = 32


def _is_sorted(items: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(items))


def _sum(kind: str, items: list[Any]) -> Any:
    total = _ZEROS[kind]
    for each in items:
        total = add(total, each)
    return total


def _extreme(name: str, sign: int, items: list[Any]) -> Any:
    if not items:
        raise EvaluationError(f"{name} called on empty list")
    found = items[0]
    for each in items[1:]:
        if compare(each, found) == sign:
            found = each
    return found


def _index_of(items: list[Any], wanted: Any) -> int:
    return next((number for number, each in enumerate(items) if equal(each, wanted)), -1)


def _last_index_of(items: list[Any], wanted: Any) -> int:
    return next((number for number in range(len(items) - 1, -1, -1) if equal(items[number], wanted)), -1)


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    what = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise EvaluationError(f"{what}, negative indexes not supported")
    if start > end:
        raise EvaluationError(f"{what}, start index must be less than or equal to end index")
    if end > len(items):
        raise EvaluationError(f"{what}, list is length {len(items)}")
    return list(items[start:end])


def _flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Any] = []
    _flatten_into(found, items, min(depth, _FLATTENED_MAX))
    return found


def _flatten_into(found: list[Any], items: list[Any], depth: int) -> None:
    for each in items:
        if depth and isinstance(each, list):
            _flatten_into(found, each, depth - 1)
        else:
            found.append(each)
            bounded(len(found))


def _sort(items: list[Any]) -> list[Any]:
    return _by_keys(items, items)


def _by_keys(items: list[Any], keys: list[Any]) -> list[Any]:
    if len(items) != len(keys):
        raise EvaluationError(
            f"@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got "
            f"{len(items)} and {len(keys)} elements respectively"
        )
    if not items:
        return []
    kind = type_of(keys[0])
    if kind.kind not in _ORDERED:
        raise EvaluationError("list elements must be comparable")
    if any(type_of(key) != kind for key in keys):
        raise EvaluationError("list elements must have the same type")
    by_key = cmp_to_key(_compare_keys)
    return [item for item, _ in sorted(zip(items, keys, strict=True), key=by_key)]


def _compare_keys(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
    return compare(one[1], other[1])


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for each in items:
        if not contains(found, each):
            found.append(each)
    return found


def _range(count: int) -> list[int]:
    bounded(count)
    return list(range(count))


def _set_contains(items: list[Any], others: list[Any]) -> bool:
    return all(contains(items, each) for each in others)


def _equivalent(items: list[Any], others: list[Any]) -> bool:
    return _set_contains(items, others) and _set_contains(others, items)


def _intersects(items: list[Any], others: list[Any]) -> bool:
    return any(contains(items, each) for each in others)


def _sum_of(kind: str) -> Overload:
    return member("sum", f"list({kind}) -> {kind}", lambda items: _sum(kind, items))


LISTS: tuple[Overload, ...] = (
    *(member("isSorted", f"list({kind}) -> bool", _is_sorted) for kind in _ORDERED),
    *(_sum_of(kind) for kind in _ZEROS),
    *(member("min", f"list({kind}) -> {kind}", lambda items: _extreme("min", -1, items)) for kind in _ORDERED),
    *(member("max", f"list({kind}) -> {kind}", lambda items: _extreme("max", 1, items)) for kind in _ORDERED),
    member("indexOf", "list(A), A -> int", _index_of),
    member("lastIndexOf", "list(A), A -> int", _last_index_of),
    member("slice", "list(A), int, int -> list(A)", _slice),
    member("flatten", "list(list(A)) -> list(A)", _flatten),
    member("flatten", "list(dyn), int -> list(dyn)", _flatten),
    *(member("sort", f"list({kind}) -> list({kind})", _sort) for kind in _ORDERED),
    *(member(SORT_KEYS, f"list(A), list({kind}) -> list(A)", _by_keys) for kind in _ORDERED),
    member("distinct", "list(A) -> list(A)", _distinct),
    member("reverse", "list(A) -> list(A)", lambda items: items[::-1]),
    plain("lists.range", "int -> list(int)", _range),
    plain("sets.contains", "list(A), list(A) -> bool", _set_contains),
    plain("sets.equivalent", "list(A), list(A) -> bool", _equivalent),
    plain("sets.intersects", "list(A), list(A) -> bool", _intersects),
)
