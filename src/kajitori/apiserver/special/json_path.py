r"""The JSONPath of printer columns and fields to select by: `.spec.a`, `['b']`, `[0]`, `[1:3]`, `[*]`, `..name`,
`[?(@.type=="Ready")]`, `[0,2]`.

A dot in a name is written `\.`. Source: client-go's util/jsonpath, and kubectl's JSONPath page.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[list[Any]], Iterable[Any]]
"""From values to values. Raises Unfit for values it cannot be applied to."""


class Unfit(Exception):
    """A path that does not fit a document: it has no result at all."""


_NAME = re.compile(r"(?:\\.|[^\s.,\[\]$@{}\\])*", re.DOTALL)
_FILTER = re.compile(
    r"\[\?\((?P<inside>[^\n'\"]*?(?:(?P<quote>['\"])(?:(?!(?P=quote)).|\\(?P=quote))*(?P=quote)[^\n]*?)?)\)\]"
)
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)
_SLICE = re.compile(r"(-?\d*)(:-?\d*)?(:-?\d*)?", re.ASCII)
_KEY = re.compile(r"'([^']*)'")
_NUMBER = re.compile(r"[+-]?[\d.]+", re.ASCII)
_WORD = re.compile(r"[^\s.,\[\]$@{}]+")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
}


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Callable[[Any], list[Any]]:
    """A function from a document to all values at the path. Raises ValueError for what is not such a path."""
    steps = list(_steps(text.strip().removeprefix("{").removesuffix("}")))

    def find(document: Any) -> list[Any]:
        try:
            return _applied(steps, [document])
        except Unfit:
            return []

    return find


def _applied(steps: list[Step], found: list[Any]) -> list[Any]:
    for step in steps:
        found = list(step(found))
    return found


def _steps(path: str) -> Iterator[Step]:
    at, recursive = 0, False
    while at < len(path):
        if path.startswith("[?(", at):
            match = _FILTER.match(path, at)
            if match is None:
                raise ValueError(f"{path!r}: unterminated filter")
            at = match.end()
            yield _filter(match["inside"])
        elif path.startswith("..", at):
            if recursive:
                raise ValueError(f"{path!r}: invalid multiple recursive descent")
            yield _descend
            at += 2
            if path[at : at + 1].isalnum() or path[at : at + 1] == "_":
                at, step = _named(path, at)
                yield step
            else:
                recursive = True
                continue
        elif path[at] in " @$":
            at += 1
            continue
        elif path[at] == "[":
            end = path.find("]", at)
            if end < 0:
                raise ValueError(f"{path!r}: unterminated array")
            yield _bracket(path[at + 1 : end])
            at = end + 1
        elif path[at] == ".":
            at, step = _named(path, at + 1)
            yield step
        else:
            at, step = _literal(path, at)
            yield step
        recursive = False


def _named(path: str, at: int) -> tuple[int, Step]:
    match = _NAME.match(path, at)
    assert match is not None, "an empty name is one"
    return match.end(), _all if match[0] == "*" else _field(match[0].replace("\\", ""))


def _literal(path: str, at: int) -> tuple[int, Step]:
    """A value that stands for itself: what is compared with."""
    if (quote := path[at]) in "'\"":
        end = path.find(quote, at + 1)
        while end > 0 and path[end - 1] == "\\":
            end = path.find(quote, end + 1)
        if end < 0:
            raise ValueError(f"{path!r}: unterminated quoted string")
        return end + 1, _constant(re.sub(r"\\(.)", r"\1", path[at + 1 : end]))
    if (match := _NUMBER.match(path, at)) is not None:
        try:
            return match.end(), _constant(int(match[0]))
        except ValueError:
            return match.end(), _constant(float(match[0]))
    if (match := _WORD.match(path, at)) is None or not (path[at].isalnum() or path[at] == "_"):
        raise ValueError(f"{path!r}: unrecognized character in action: {path[at]!r}")
    return match.end(), _constant(match[0] == "true") if match[0] in ("true", "false") else _unknown


def _bracket(text: str) -> Step:
    text = ":" if text == "*" else text
    parts = text.split(",")
    if len(parts) > 1:
        alternatives = [_bracket(part.strip(" ")) for part in parts]
        return lambda values: [found for each in alternatives for found in each(values)]
    if match := _KEY.fullmatch(text):
        steps = list(_steps(f".{match[1]}"))
        return lambda values: _applied(steps, values)
    match = _SLICE.fullmatch(text)
    if match is None or text == "-":
        raise ValueError(f"invalid array index {text}")
    first, end, step = match[1], match[2], match[3]
    start = int(first) if first else 0
    if end is None:
        return _slice(start, start + 1, 1, is_index=True)
    return _slice(start, _bound(end), 1 if step in (None, ":") else _bound(step), is_index=False)


def _bound(text: str) -> int | None:
    return int(text[1:]) if text[1:] else None


def _slice(start: int, end: int | None, step: int | None, *, is_index: bool) -> Step:
    def sliced(values: list[Any]) -> Iterator[Any]:
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise Unfit
            count = len(value)
            low = start + count if start < 0 else start
            high = count if end is None else end
            if high < 0 or (high == 0 and is_index):
                high += count
            if low == high:
                return
            if not 0 <= low < count or not 0 <= high <= count or low > high or step is None or step <= 0:
                raise Unfit
            yield from value[low:high:step]

    return sliced


def _constant(value: Any) -> Step:
    return lambda values: [value for _ in values]


def _unknown(values: list[Any]) -> Iterable[Any]:
    raise Unfit


def _field(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _all(values: list[Any]) -> Iterable[Any]:
    return [each for value in values for each in _inside(value)]


def _descend(values: list[Any]) -> Iterator[Any]:
    """Everything that holds something, from the outside in."""
    for value in values:
        below = list(_inside(value))
        if below:
            yield value
            yield from _descend(below)


def _filter(text: str) -> Step:
    match = _COMPARISON.fullmatch(text)
    left = list(_steps(match[1] if match else text))
    right = list(_steps(match[3])) if match else []
    compare = _COMPARED.get(match[2]) if match else None

    def passes(item: Any) -> bool:
        if match is None:
            return bool(_found(left, item))
        lefts = _applied(left, [item])
        if not lefts:
            return False
        rights = _applied(right, [item])
        if len(lefts) > 1 or len(rights) > 1 or compare is None:
            raise Unfit
        return bool(rights) and _compared(match[2], compare, lefts[0], rights[0])

    def kept(values: list[Any]) -> Iterator[Any]:
        for value in values:
            if not isinstance(value, list):
                raise Unfit
            yield from (item for item in value if passes(item))

    return kept


def _found(steps: list[Step], item: Any) -> list[Any]:
    try:
        return _applied(steps, [item])
    except Unfit:
        return []


def _compared(sign: str, compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    """Values of one type only, and of those that have an order when it is asked for."""
    ordered = sign not in ("==", "!=")
    if type(left) is not type(right) or not isinstance(left, str | int | float) or (ordered and type(left) is bool):
        raise Unfit
    return compare(left, right)
