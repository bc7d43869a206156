"""Declarations of functions: names, overloads and what they do. The libraries are tables of these.

An overload is written as `plain("url", "string -> kubernetes.URL", parse_url)` or, for `text.find(pattern)`,
`member("find", "string, string -> string", find)`, where the first parameter is the receiver.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kajitori.api.cel.types import SIMPLE, Type, parse
from kajitori.api.cel.values import Optional, type_of

Implementation = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Overload:
    """`id` only where costs or the evaluator must know one overload from another. `open` implementations check their
    arguments themselves, so that no choice between overloads is needed."""

    function: str
    parameters: tuple[Type, ...]
    result: Type
    run: Implementation
    is_member: bool = False
    id: str = ""
    open: bool = False

    def takes(self, values: tuple[Any, ...]) -> bool:
        return len(values) == len(self.parameters) and all(map(_fits, self.parameters, values))


def _fits(parameter: Type, value: Any) -> bool:
    if parameter.kind in ("dyn", "param"):
        return True
    found = type_of(value)
    if found.kind != parameter.kind or (parameter.kind in ("opaque", "object") and found.name != parameter.name):
        return False
    if parameter.kind == "list" and parameter.parameters[0].kind in SIMPLE:
        return all(_fits(parameter.parameters[0], each) for each in value)
    if type(value) is Optional and value.present:
        return _fits(parameter.parameters[0], value.value)
    return True


def _overload(function: str, signature: str, run: Implementation, is_member: bool, id: str, open: bool) -> Overload:
    before, _, after = signature.partition("->")
    parameters = tuple(parse(part) for part in _split(before))
    return Overload(function, parameters, parse(after), run, is_member, id, open)


def _split(text: str) -> Iterable[str]:
    depth, start = 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    if text[start:].strip():
        yield text[start:]


def plain(function: str, signature: str, run: Implementation, id: str = "", *, open: bool = False) -> Overload:
    return _overload(function, signature, run, False, id, open)


def member(function: str, signature: str, run: Implementation, id: str = "", *, open: bool = False) -> Overload:
    return _overload(function, signature, run, True, id, open)


@dataclass(frozen=True, slots=True)
class Library:
    """Functions by name, and the opaque types that can be named in expressions."""

    functions: Mapping[str, tuple[Overload, ...]]
    types: Mapping[str, Type] = field(default_factory=dict)

    @staticmethod
    def of(*tables: Iterable[Overload]) -> "Library":
        functions: dict[str, list[Overload]] = {}
        types: dict[str, Type] = {}
        for table in tables:
            for overload in table:
                functions.setdefault(overload.function, []).append(overload)
                for each in (*overload.parameters, overload.result):
                    if each.kind == "opaque":
                        types[each.name] = Type("opaque", each.name)
        return Library({name: tuple(found) for name, found in functions.items()}, types)
