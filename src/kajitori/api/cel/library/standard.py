"""CEL's own functions and operators. Source: the list of standard definitions in the language definition.

Operators take values of any type and refuse those that do not go together: what is `dyn` is only known here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import inf
from typing import Any, TypeVar

from kajitori.api.cel import times
from kajitori.api.cel.errors import EvaluationError, no_overload
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.regexes import matches
from kajitori.api.cel.values import (
    INT_MAX,
    INT_MIN,
    Duration,
    MapList,
    SetList,
    Timestamp,
    UInt,
    bounded,
    bounded_text,
    checked_int,
    checked_uint,
    compare,
    contains,
    equal,
    type_of,
)

T = TypeVar("T", Timestamp, Duration)


def add(one: Any, other: Any) -> Any:
    """`one + other`, of numbers, texts, lists and times."""
    kind, kind2 = type(one), type(other)
    if kind is kind2:
        if kind is int:
            total = one + other
            return total if INT_MIN <= total <= INT_MAX else checked_int(total)
        if kind is str or kind is bytes:
            bounded_text(len(one) + len(other))
            return one + other
        if kind is float:
            return one + other
        if kind is UInt:
            return checked_uint(int(one) + int(other))
        if kind is Duration:
            return times.duration(one.ns + other.ns)
    if isinstance(one, list) and isinstance(other, list):
        return _concatenated(one, other)
    if {kind, kind2} == {Timestamp, Duration}:
        return times.timestamp(one.ns + other.ns)
    raise no_overload()


def _concatenated(one: list[Any], other: list[Any]) -> list[Any]:
    bounded(len(one) + len(other))
    if isinstance(one, SetList):
        return SetList([*one, *(each for each in other if not contains(one, each))])
    if isinstance(one, MapList):
        merged = {one.key_of(item): item for item in [*one, *other]}
        return MapList(merged.values(), one.keys)
    return [*one, *other]


def _subtract(one: Any, other: Any) -> Any:
    kind, kind2 = type(one), type(other)
    if kind is kind2:
        if kind is int:
            return checked_int(one - other)
        if kind is float:
            return one - other
        if kind is UInt:
            return checked_uint(int(one) - int(other))
        if kind is Duration or kind is Timestamp:
            return times.duration(one.ns - other.ns)
    if kind is Timestamp and kind2 is Duration:
        return times.timestamp(one.ns - other.ns)
    raise no_overload()


def _multiply(one: Any, other: Any) -> Any:
    kind = type(one)
    if kind is type(other):
        if kind is int:
            return checked_int(one * other)
        if kind is float:
            return one * other
        if kind is UInt:
            return checked_uint(int(one) * int(other))
    raise no_overload()


def _truncated(one: int, other: int) -> int:
    quotient = abs(one) // abs(other)
    return quotient if (one < 0) == (other < 0) else -quotient


def _divide(one: Any, other: Any) -> Any:
    kind = type(one)
    if kind is type(other):
        if kind is float:
            return one / other if other else (one * inf if one else float("nan"))
        if kind is int or kind is UInt:
            if other == 0:
                raise EvaluationError("division by zero")
            quotient = _truncated(int(one), int(other))
            return checked_int(quotient) if kind is int else UInt(quotient)
    raise no_overload()


def _modulo(one: Any, other: Any) -> Any:
    kind = type(one)
    if kind is type(other) and (kind is int or kind is UInt):
        if other == 0:
            raise EvaluationError("modulus by zero")
        if one == INT_MIN and other == -1 and kind is int:
            raise EvaluationError("integer overflow")
        rest = int(one) - int(other) * _truncated(int(one), int(other))
        return rest if kind is int else UInt(rest)
    raise no_overload()


def _negate(one: Any) -> Any:
    if type(one) is int:
        return checked_int(-one)
    if type(one) is float:
        return -one
    raise no_overload()


def _not(one: Any) -> bool:
    if type(one) is not bool:
        raise no_overload()
    return not one


def _unequal(one: Any, other: Any) -> bool:
    return not equal(one, other)


def _unordered(one: Any, other: Any) -> bool:
    return bool(one != one or other != other)


def _less(one: Any, other: Any) -> bool:
    if type(one) is type(other) is int:
        return bool(one < other)
    return compare(one, other) < 0


def _at_most(one: Any, other: Any) -> bool:
    if type(one) is type(other) is int:
        return bool(one <= other)
    return compare(one, other) <= 0 and not _unordered(one, other)


def _greater(one: Any, other: Any) -> bool:
    if type(one) is type(other) is int:
        return bool(one > other)
    return compare(one, other) > 0


def _at_least(one: Any, other: Any) -> bool:
    if type(one) is type(other) is int:
        return bool(one >= other)
    return compare(one, other) >= 0 and not _unordered(one, other)


def _in(wanted: Any, where: Any) -> bool:
    if isinstance(where, list):
        return contains(where, wanted)
    if isinstance(where, Mapping):
        try:
            return wanted in where
        except TypeError:
            return False
    raise no_overload()


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | Mapping):
        return len(value)
    raise no_overload()


# Parts of times


def _part(read: Callable[[datetime], int]) -> Callable[..., int]:
    return lambda moment, where="": read(times.in_zone(moment, where))


_PARTS: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
_LENGTHS_NS = {"getHours": 3600 * 10**9, "getMinutes": 60 * 10**9, "getSeconds": 10**9, "getMilliseconds": 10**6}


def _length(unit_ns: int) -> Callable[[Duration], int]:
    return lambda length: _truncated(length.ns, unit_ns)


def _operators(mark: str, run: Callable[..., Any], *signatures: str) -> list[Overload]:
    return [plain(mark, signature, run, open=True) for signature in signatures]


_SAME_NUMBERS = tuple(f"{each}, {each} -> {each}" for each in ("int", "uint", "double"))
_NUMBERS = ("int", "uint", "double")
_ORDERED = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_COMPARABLE = (
    *(f"{each}, {each} -> bool" for each in _ORDERED),
    *(f"{one}, {other} -> bool" for one in _NUMBERS for other in _NUMBERS if one != other),
)


def _planned(*values: Any) -> Any:
    raise AssertionError("the planner has a plan of its own for this operator")


STANDARD: tuple[Overload, ...] = (
    plain("_&&_", "bool, bool -> bool", _planned, open=True),
    plain("_||_", "bool, bool -> bool", _planned, open=True),
    plain("_?_:_", "bool, A, A -> A", _planned, open=True),
    plain("!_", "bool -> bool", _not, open=True),
    plain("@not_strictly_false", "bool -> bool", _planned, open=True),
    plain("_==_", "A, A -> bool", equal, open=True),
    plain("_!=_", "A, A -> bool", _unequal, open=True),
    *_operators("_<_", _less, *_COMPARABLE),
    *_operators("_<=_", _at_most, *_COMPARABLE),
    *_operators("_>_", _greater, *_COMPARABLE),
    *_operators("_>=_", _at_least, *_COMPARABLE),
    *_operators(
        "_+_",
        add,
        *_SAME_NUMBERS,
        *("string, string -> string", "bytes, bytes -> bytes", "list(A), list(A) -> list(A)"),
        *("duration, duration -> duration", "timestamp, duration -> timestamp", "duration, timestamp -> timestamp"),
    ),
    *_operators(
        "_-_",
        _subtract,
        *_SAME_NUMBERS,
        *("duration, duration -> duration", "timestamp, timestamp -> duration", "timestamp, duration -> timestamp"),
    ),
    *_operators("_*_", _multiply, *_SAME_NUMBERS),
    *_operators("_/_", _divide, *_SAME_NUMBERS),
    *_operators("_%_", _modulo, *_SAME_NUMBERS[:2]),
    *_operators("-_", _negate, "int -> int", "double -> double"),
    *_operators("_[_]", _planned, "list(A), int -> A", "map(A, B), A -> B"),
    *_operators("@in", _in, "A, list(A) -> bool", "A, map(A, B) -> bool"),
    *(plain("size", f"{each} -> int", _size, open=True) for each in ("string", "bytes", "list(A)", "map(A, B)")),
    *(member("size", f"{each} -> int", _size, open=True) for each in ("string", "bytes", "list(A)", "map(A, B)")),
    plain("dyn", "A -> dyn", lambda value: value, open=True),
    plain("type", "A -> type(A)", type_of, open=True),
    plain("matches", "string, string -> bool", matches),
    member("matches", "string, string -> bool", matches),
    member("contains", "string, string -> bool", lambda text, part: part in text),
    member("startsWith", "string, string -> bool", lambda text, part: text.startswith(part)),
    member("endsWith", "string, string -> bool", lambda text, part: text.endswith(part)),
    *(member(name, "timestamp -> int", _part(read)) for name, read in _PARTS.items()),
    *(member(name, "timestamp, string -> int", _part(read)) for name, read in _PARTS.items()),
    *(member(name, "duration -> int", _length(unit)) for name, unit in _LENGTHS_NS.items()),
)
