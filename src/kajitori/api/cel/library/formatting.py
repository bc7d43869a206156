"""`"%s of %d".format([...])`: clauses %s %d %f %e %b %o %x %X, with a precision for %f and %e."""

import re
from collections.abc import Callable, Mapping
from math import isinf, isnan
from typing import Any

from kajitori.api.cel import times
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.library.conversions import double_text
from kajitori.api.cel.types import Type
from kajitori.api.cel.values import Duration, Timestamp, bounded_text, type_of

_QUOTED = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)
_CLAUSE = re.compile(r"%(?:(%)|(?:\.(\d*))?(.)?)", re.DOTALL)
_PRECISION, _PRECISION_MAX = 6, 100
_DEPTH_MAX = 32


def quote(text: str) -> str:
    """As a literal."""
    bounded_text(len(text) * 2)
    return f'"{text.translate(_QUOTED)}"'


def format_text(template: str, values: list[Any]) -> str:
    pieces: list[str] = []
    at, used, length = 0, 0, 0
    for match in _CLAUSE.finditer(template):
        pieces.append(template[at : match.start()])
        at = match.end()
        if match[1]:
            pieces.append("%")
            continue
        clause = match[3]
        write = _CLAUSES.get(clause or "")
        if write is None:
            what = f'unrecognized formatting clause "{clause}"' if clause else "unexpected end of string"
            raise EvaluationError(f"could not parse formatting clause: {what}")
        if used >= len(values):
            raise EvaluationError(f"index {used} out of range")
        pieces.append(_written(write, values[used], match[2]))
        used += 1
        length += len(pieces[-1])
        bounded_text(length)
    pieces.append(template[at:])
    return "".join(pieces)


def _written(write: Callable[[Any, int], str], value: Any, precision: str | None) -> str:
    places = int(precision) if precision and len(precision) < 4 else _PRECISION
    if places > _PRECISION_MAX:
        raise EvaluationError("could not parse formatting clause: error while parsing precision: too large")
    try:
        return write(value, places)
    except RecursionError:
        raise EvaluationError("error during formatting: nested too deeply") from None


def _error(what: str, value: Any) -> EvaluationError:
    return EvaluationError(f"error during formatting: {what}, was given {type_of(value)}")


def _string(value: Any, places: int) -> str:
    return _text(value, 0)


def _text(value: Any, depth: int) -> str:
    if depth > _DEPTH_MAX:
        raise EvaluationError("error during formatting: nested too deeply")
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case float():
            return _special(value) or double_text(value)
        case int():
            return str(int(value))
        case bytes():
            return value.decode(errors="replace")
        case Timestamp():
            return times.timestamp_text(value)
        case Duration():
            return times.duration_text(value)
        case Type():
            return str(value)
        case list():
            return _joined("[", [_nested(each, depth + 1) for each in value], "]")
        case Mapping():
            pairs = sorted((_nested(key, depth + 1), _nested(each, depth + 1)) for key, each in value.items())
            return _joined("{", [f"{key}:{each}" for key, each in pairs], "}")
    raise _error(
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, "
        "and timestamps",
        value,
    )


def _nested(value: Any, depth: int) -> str:
    """Inside a list or map, in a form that shows the type."""
    match value:
        case str():
            return quote(value)
        case bytes():
            return f"b{quote(value.decode(errors='replace'))}"
        case float():
            return _special(value) or f"{value:.{_PRECISION}f}"
        case Timestamp():
            return f'timestamp("{_text(value, depth)}")'
        case Duration():
            return f'duration("{_text(value, depth)}")'
        case Type():
            return f"type({value})"
    return _text(value, depth)


def _joined(before: str, parts: list[str], after: str) -> str:
    bounded_text(sum(map(len, parts)))
    return f"{before}{', '.join(parts)}{after}"


def _special(value: float) -> str:
    return "NaN" if isnan(value) else ("Infinity" if value > 0 else "-Infinity") if isinf(value) else ""


def _decimal(value: Any, places: int) -> str:
    if isinstance(value, float) and (special := _special(value)):
        return special
    if isinstance(value, bool) or not isinstance(value, int):
        raise _error("decimal clause can only be used on integers", value)
    return str(int(value))


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _error(f"{what} clause can only be used on doubles", value)
    return float(value)


def _fixed(value: Any, places: int) -> str:
    number = _number(value, "fixed-point")
    return _special(number) or f"{number:,.{places}f}"


_RAISED = str.maketrans("-+0123456789", "\u207b\u207a\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def _scientific(value: Any, places: int) -> str:
    """With a raised exponent, as upstream's library writes English: 3.14, times ten, to the power of zero."""
    number = _number(value, "scientific")
    mantissa, _, exponent = f"{number:.{places}e}".partition("e")
    return _special(number) or f"{mantissa}\u00d710{exponent.removeprefix('+').translate(_RAISED)}"


def _binary(value: Any, places: int) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return f"{int(value):b}"
    raise _error("only integers and bools can be formatted as binary", value)


def _octal(value: Any, places: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value):o}"
    raise _error("octal clause can only be used on integers", value)


def _hex(value: Any, places: int) -> str:
    if isinstance(value, str):
        return value.encode().hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value):x}"
    raise _error("only integers, byte buffers, and strings can be formatted as hex", value)


def _upper_hex(value: Any, places: int) -> str:
    return _hex(value, places).upper()


_CLAUSES: dict[str, Callable[[Any, int], str]] = {
    "s": _string,
    "d": _decimal,
    "f": _fixed,
    "e": _scientific,
    "b": _binary,
    "o": _octal,
    "x": _hex,
    "X": _upper_hex,
}
