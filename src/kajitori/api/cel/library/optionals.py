"""Optional values, and what the macros over maps need. `or`, `orValue` and `?.` are the planner's: they are lazy."""

from collections.abc import Mapping
from typing import Any

from kajitori.api.cel.ast import MAP_INSERT
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.values import NONE, Duration, Optional, Timestamp

_ZERO_TIME = Timestamp(-62135596800 * 10**9)
"""The first second of year 1."""


def _value(optional: Optional) -> Any:
    if not optional.present:
        raise EvaluationError("optional.none() dereference")
    return optional.value


def _non_zero(value: Any) -> Optional:
    if isinstance(value, list | Mapping | str | bytes):
        return Optional(value) if len(value) else NONE
    if value == _ZERO_TIME:
        return NONE
    zero = value is None or value is False or value == Duration(0) or (isinstance(value, int | float) and value == 0)
    return NONE if zero else Optional(value)


def _unwrapped(items: list[Optional]) -> list[Any]:
    return [each.value for each in items if each.present]


def _lazy(*values: Any) -> Any:
    raise AssertionError(values)


OPTIONALS: tuple[Overload, ...] = (
    plain("optional.of", "A -> optional(A)", Optional),
    plain("optional.ofNonZeroValue", "A -> optional(A)", _non_zero),
    plain("optional.none", "-> optional(A)", lambda: NONE),
    plain("optional.unwrap", "list(optional(A)) -> list(A)", _unwrapped),
    member("unwrapOpt", "list(optional(A)) -> list(A)", _unwrapped),
    member("value", "optional(A) -> A", _value),
    member("hasValue", "optional(A) -> bool", lambda optional: optional.present),
    member("or", "optional(A), optional(A) -> optional(A)", _lazy),
    member("orValue", "optional(A), A -> A", _lazy),
    member("first", "list(A) -> optional(A)", lambda items: Optional(items[0]) if items else NONE),
    member("last", "list(A) -> optional(A)", lambda items: Optional(items[-1]) if items else NONE),
    plain("_[?_]", "list(A), int -> optional(A)", _lazy),
    plain("_[?_]", "optional(list(A)), int -> optional(A)", _lazy),
    plain("_[?_]", "map(A, B), A -> optional(B)", _lazy),
    plain("_[?_]", "optional(map(A, B)), A -> optional(B)", _lazy),
    plain("_[_]", "optional(list(A)), int -> optional(A)", _lazy, open=True),
    plain("_[_]", "optional(map(A, B)), A -> optional(B)", _lazy, open=True),
    plain(MAP_INSERT, "map(A, B), A, B -> map(A, B)", _lazy),
    plain(MAP_INSERT, "map(A, B), map(A, B) -> map(A, B)", _lazy),
)
