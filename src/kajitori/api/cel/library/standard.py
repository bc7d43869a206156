"""CEL's own functions and operators. Source: the list of standard definitions in the language definition.

Operators take values of any type and refuse those that do not go together: what is `dyn` is only known here.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from math import fmod, inf, isinf, isnan
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


def _add(one: Any, other: Any) -> Any:
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


# Conversions


def _int(value: Any) -> int:
    match value:
        case bool():
            raise no_overload()
        case int():
            return checked_int(int(value))
        case float():
            if isnan(value) or isinf(value) or not INT_MIN < value < 2.0**63:
                raise EvaluationError("integer overflow")
            return int(value)
        case str():
            return _parsed_int(value)
        case Timestamp():
            return value.ns // 10**9
        case Duration():
            return value.ns
    raise no_overload()


_DIGITS = frozenset("0123456789")


def _parsed_int(text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits or not _DIGITS.issuperset(digits):
        raise EvaluationError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(digits) > 4000 or not INT_MIN <= int(text) <= INT_MAX:
        raise EvaluationError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def _uint(value: Any) -> UInt:
    match value:
        case bool():
            raise no_overload()
        case int():
            return checked_uint(int(value))
        case float():
            if isnan(value) or not 0 <= value < 2.0**64:
                raise EvaluationError("unsigned integer overflow")
            return UInt(int(value))
        case str():
            if not value or not _DIGITS.issuperset(value):
                raise EvaluationError(f'strconv.ParseUint: parsing "{value}": invalid syntax')
            if len(value) > 4000 or int(value) >= 2**64:
                raise EvaluationError(f'strconv.ParseUint: parsing "{value}": value out of range')
            return UInt(int(value))
    raise no_overload()


def _double(value: Any) -> float:
    if type(value) in (int, UInt, float):
        return float(value)
    if isinstance(value, str):
        try:
            if "_" in value or value != value.strip():
                raise ValueError
            return float(value)
        except ValueError:
            raise EvaluationError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None
    raise no_overload()


def double_text(value: float) -> str:
    """The shortest text that is this number again, as upstream writes it."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if fmod(value, 1) == 0 and abs(value) < 1e21:
        return "-0" if str(value) == "-0.0" else str(int(value))
    return repr(value)


def _string(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return double_text(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
        case Timestamp():
            return times.timestamp_text(value)
        case Duration():
            return times.duration_text(value)
    text = getattr(value, "cel_text", None)
    if text is None:
        raise no_overload()
    return str(text())


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


_TRUE, _FALSE = (
    frozenset({"1", "t", "T", "true", "TRUE", "True"}),
    frozenset({"0", "f", "F", "false", "FALSE", "False"}),
)


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise EvaluationError(f'strconv.ParseBool: parsing "{value}": invalid syntax')


def _timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    if isinstance(value, int):
        return times.timestamp(int(value) * 10**9)
    return _parsed(times.parse_timestamp, str(value))


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if isinstance(value, int):
        return times.duration(int(value))
    return _parsed(times.parse_duration, str(value))


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


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
_TO_STRING = ("string", "bool", "int", "uint", "double", "bytes", "timestamp", "duration")

STANDARD: tuple[Overload, ...] = (
    plain("_&&_", "bool, bool -> bool", _in, open=True),
    plain("_||_", "bool, bool -> bool", _in, open=True),
    plain("_?_:_", "bool, A, A -> A", _in, open=True),
    plain("!_", "bool -> bool", _not, open=True),
    plain("@not_strictly_false", "bool -> bool", _in, open=True),
    plain("_==_", "A, A -> bool", equal, open=True),
    plain("_!=_", "A, A -> bool", _unequal, open=True),
    *_operators("_<_", _less, *_COMPARABLE),
    *_operators("_<=_", _at_most, *_COMPARABLE),
    *_operators("_>_", _greater, *_COMPARABLE),
    *_operators("_>=_", _at_least, *_COMPARABLE),
    *_operators(
        "_+_",
        _add,
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
    *_operators("_[_]", _in, "list(A), int -> A", "map(A, B), A -> B"),
    *_operators("@in", _in, "A, list(A) -> bool", "A, map(A, B) -> bool"),
    *(plain("size", f"{each} -> int", _size, open=True) for each in ("string", "bytes", "list(A)", "map(A, B)")),
    *(member("size", f"{each} -> int", _size, open=True) for each in ("string", "bytes", "list(A)", "map(A, B)")),
    *_operators("int", _int, *(f"{each} -> int" for each in (*_NUMBERS, "string", "timestamp", "duration"))),
    *_operators("uint", _uint, *(f"{each} -> uint" for each in (*_NUMBERS, "string"))),
    *_operators("double", _double, *(f"{each} -> double" for each in (*_NUMBERS, "string"))),
    *(plain("string", f"{each} -> string", _string, open=True) for each in _TO_STRING),
    plain("bytes", "bytes -> bytes", _bytes),
    plain("bytes", "string -> bytes", _bytes),
    plain("bool", "bool -> bool", _bool),
    plain("bool", "string -> bool", _bool),
    *(plain("timestamp", f"{each} -> timestamp", _timestamp) for each in ("timestamp", "string", "int")),
    *(plain("duration", f"{each} -> duration", _duration) for each in ("duration", "string", "int")),
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
