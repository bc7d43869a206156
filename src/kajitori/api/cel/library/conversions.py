"""CEL's conversions between types: int(), uint(), double(), string(), bytes(), bool(), timestamp(), duration().

What cannot be read as a number or a truth value is refused in the words of Go's strconv, as upstream does.
"""

from collections.abc import Callable
from math import fmod, isinf, isnan
from typing import Any, TypeVar

from kajitori.api.cel import times
from kajitori.api.cel.errors import EvaluationError, no_overload
from kajitori.api.cel.functions import plain
from kajitori.api.cel.values import INT_MAX, INT_MIN, Duration, Timestamp, UInt, checked_int, checked_uint

T = TypeVar("T", Timestamp, Duration)


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
    is_number = digits and _DIGITS.issuperset(digits) and len(digits) <= 4000
    if not is_number or not INT_MIN <= int(text) <= INT_MAX:
        raise _not_from_text("int")
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
            if not value or not _DIGITS.issuperset(value) or len(value) > 4000 or int(value) >= 2**64:
                raise _not_from_text("uint")
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
            raise _not_from_text("double") from None
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
    raise _not_from_text("bool")


def _timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    if isinstance(value, int):
        return times.timestamp(int(value) * 10**9)
    return _parsed(times.parse_timestamp, str(value), "google.protobuf.Timestamp")


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if isinstance(value, int):
        return times.duration(int(value))
    return _parsed(times.parse_duration, str(value), "google.protobuf.Duration")


def _parsed(parse: Callable[[str], T], text: str, kind: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise _not_from_text(kind) from None


def _not_from_text(kind: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from 'string' to '{kind}'")


_FROM: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "int": (_int, ("int", "uint", "double", "string", "timestamp", "duration")),
    "uint": (_uint, ("int", "uint", "double", "string")),
    "double": (_double, ("int", "uint", "double", "string")),
    "string": (_string, ("string", "bool", "int", "uint", "double", "bytes", "timestamp", "duration")),
    "bytes": (_bytes, ("bytes", "string")),
    "bool": (_bool, ("bool", "string")),
    "timestamp": (_timestamp, ("timestamp", "string", "int")),
    "duration": (_duration, ("duration", "string", "int")),
}
"""By what it gives: how, and what it takes."""
_OPEN = ("int", "uint", "double", "string")
"""Those that refuse by themselves what they cannot convert."""

CONVERSIONS = tuple(
    plain(to, f"{each} -> {to}", run, open=to in _OPEN) for to, (run, takes) in _FROM.items() for each in takes
)
