"""The strings extension, version 2: positions count characters."""

from typing import Any

from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member, plain
from kajitori.api.cel.library.formatting import format_text, quote
from kajitori.api.cel.values import bounded, bounded_text

_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


def _outside(position: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {position}")


def _char_at(text: str, position: int) -> str:
    if not 0 <= position <= len(text):
        raise _outside(position)
    return text[position : position + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if not part:
        return start
    if start < 0:
        raise _outside(start)
    return text.find(part, start) if start < len(text) else -1


def _last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if not part:
        return start
    if start < 0:
        raise _outside(start)
    return text.rfind(part, 0, start + len(part)) if start < len(text) else -1


def _join(parts: list[Any], separator: str = "") -> str:
    for each in parts:
        if not isinstance(each, str):
            raise EvaluationError(f"join: invalid input: {each}")
    bounded_text(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    if count == 0:
        return text
    times = len(text) + 1 if not old else text.count(old)
    bounded_text(len(text) + len(new) * (times if count < 0 else min(times, count)))
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if count == 1:
        return [text]
    if separator:
        bounded(text.count(separator))
        return text.split(separator, -1 if count < 0 else count - 1)
    bounded(len(text))
    return list(text) if count < 0 or len(text) <= count else [*text[: count - 1], text[count - 1 :]]


def _substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        end = len(text)
        if not 0 <= start <= end:
            raise _outside(start)
        return text[start:]
    if start > end:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise _outside(start)
    if end > len(text):
        raise _outside(end)
    return text[start:end]


def _trim(text: str) -> str:
    return text.strip(_SPACE)


def _lower(text: str) -> str:
    return text.translate(_LOWER)


def _upper(text: str) -> str:
    return text.translate(_UPPER)


STRINGS: tuple[Overload, ...] = (
    member("charAt", "string, int -> string", _char_at),
    member("indexOf", "string, string -> int", _index_of),
    member("indexOf", "string, string, int -> int", _index_of),
    member("lastIndexOf", "string, string -> int", _last_index_of),
    member("lastIndexOf", "string, string, int -> int", _last_index_of),
    member("lowerAscii", "string -> string", _lower),
    member("upperAscii", "string -> string", _upper),
    member("replace", "string, string, string -> string", _replace),
    member("replace", "string, string, string, int -> string", _replace),
    member("split", "string, string -> list(string)", _split),
    member("split", "string, string, int -> list(string)", _split),
    member("substring", "string, int -> string", _substring),
    member("substring", "string, int, int -> string", _substring),
    member("trim", "string -> string", _trim),
    member("join", "list(string) -> string", _join),
    member("join", "list(string), string -> string", _join),
    member("format", "string, list(dyn) -> string", format_text),
    plain("strings.quote", "string -> string", quote),
)
