r"""The simple JSONPath of printer columns: `.spec.a`, `['b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`.

A dot in a name is written `\.`. Source: CustomResourceColumnDefinition.jsonPath and kubectl's JSONPath page.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterable[Any]]

_TOKEN = re.compile(
    r"""\.(?P<field>(?:\\.|[^.\[\\])+)
      | \[\s*'(?P<quoted>(?:\\.|[^'\\])*)'\s*\]
      | \[\s*"(?P<double>(?:\\.|[^"\\])*)"\s*\]
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[\?\(\s*@(?P<left>[^=!<>\s]+)\s*(?P<operator>==|!=)\s*(?P<right>[^)]*?)\s*\)\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Callable[[Any], list[Any]]:
    """A function from a document to all values at the path. Raises ValueError for what is not such a path."""
    steps = list(_steps(text))

    def find(document: Any) -> list[Any]:
        found = [document]
        for step in steps:
            found = [value for each in found for value in step(each)]
        return found

    return find


def _steps(text: str) -> Iterator[Step]:
    path = text.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise ValueError(f"{text!r} is not a simple JSONPath: cannot read on from {path[position:]!r}")
        position = match.end()
        yield _step(match)


def _step(match: "re.Match[str]") -> Step:
    groups = match.groupdict()
    for kind in ("field", "quoted", "double"):
        if groups[kind] is not None:
            name = re.sub(r"\\(.)", r"\1", groups[kind])
            return _all if name == "*" and kind == "field" else _field(name)
    if groups["index"] is not None:
        return _index(int(groups["index"]))
    if groups["all"] is not None:
        return _all
    return _filter(compile_path(groups["left"]), groups["operator"] == "==", groups["right"])


def _field(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, dict) and name in value else []


def _index(number: int) -> Step:
    return lambda value: [value[number]] if isinstance(value, list) and -len(value) <= number < len(value) else []


def _all(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _filter(path: Callable[[Any], list[Any]], equal: bool, literal: str) -> Step:
    wanted = literal[1:-1] if literal[:1] in ("'", '"') else literal

    def matches(item: Any) -> bool:
        return any((_text(value) == wanted) is equal for value in path(item))

    return lambda value: [item for item in value if matches(item)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
