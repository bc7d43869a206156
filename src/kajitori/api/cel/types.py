"""The types of CEL: what the checker reasons with, how they are written, and the object types of schemas.

A type is a kind, a name and parameters. Names and the written form are those that users of CEL know from its
errors: `list(int)`, `map(string, dyn)`, `optional_type(string)`, `timestamp`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Sizes are counted in JSON text, and no document is larger than a request: upstream's constant for cost estimates.
REQUEST_BYTES_MAX = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Type:
    """`kind` is one of: dyn any error null bool int uint double string bytes timestamp duration type list map opaque
    object param. `name` distinguishes opaque types, objects and parameters."""

    kind: str
    name: str = ""
    parameters: tuple["Type", ...] = ()

    def __str__(self) -> str:
        written = self.name or _WRITTEN.get(self.kind, self.kind)
        if self.kind == "type" and not (self.parameters and self.parameters[0].kind != "dyn"):
            return "type"
        return f"{written}({', '.join(map(str, self.parameters))})" if self.parameters else written


_WRITTEN = {"error": "!error!"}

DYN, ERROR, NULL = Type("dyn"), Type("error"), Type("null")
ANY = Type("any")
"""Like dyn where one value is used, but no range of a loop and never beside others in a list: a device's attribute."""
BOOL, INT, UINT, DOUBLE = Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, TIMESTAMP, DURATION = Type("string"), Type("bytes"), Type("timestamp"), Type("duration")
SIMPLE: Mapping[str, Type] = {
    each.kind: each for each in (DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION)
}
SCALAR_KINDS = frozenset({"null", "bool", "int", "uint", "double", "timestamp", "duration"})
"""What has the size one."""


def list_of(element: Type) -> Type:
    return Type("list", "", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", "", (key, value))


def type_of(each: Type) -> Type:
    return Type("type", "", (each,))


def optional_of(each: Type) -> Type:
    return Type("opaque", "optional_type", (each,))


def opaque(name: str, *parameters: Type) -> Type:
    return Type("opaque", name, parameters)


def param(name: str) -> Type:
    return Type("param", name)


@dataclass(frozen=True, slots=True)
class Field:
    """`key` is the name in the document, which differs from the name in expressions where that had to be escaped."""

    type: "Declared"
    key: str


@dataclass(slots=True, eq=False)
class Declared:
    """A type with what its schema says about sizes, and how a JSON value becomes a value of it.

    `elements_max` bounds the length of a string, list or map (0 for all else); `size_min` is the least JSON text in
    bytes. `convert` is None where the JSON value is the CEL value already. An `open` object has every field, of type
    dyn.
    """

    type: Type
    elements_max: int = 0
    size_min: int = 1
    key: "Declared | None" = None
    element: "Declared | None" = None
    fields: dict[str, Field] = field(default_factory=dict)
    open: bool = False
    convert: Callable[[Any], Any] | None = None


class Objects:
    """The object types that an environment knows, by name."""

    def __init__(self, *roots: Declared) -> None:
        self.by_name: dict[str, Declared] = {}
        for root in roots:
            self._add(root)

    def find(self, name: str) -> Declared | None:
        """Below an open object everything is an open object too: `Object` brings `Object.spec.containers`."""
        found = self.by_name.get(name)
        root = self.by_name.get(name.partition(".")[0]) if found is None else None
        if root is None or not root.open:
            return found
        self.by_name[name] = below = Declared(Type("object", name), open=True)
        return below

    def _add(self, declared: Declared | None) -> None:
        if declared is None:
            return
        if declared.type.kind == "object":
            if declared.type.name in self.by_name:
                return
            self.by_name[declared.type.name] = declared
        self._add(declared.element)
        for each in declared.fields.values():
            self._add(each.type)


def optional_inside(each: Type) -> Type | None:
    """What an optional may hold; None when the type is no optional."""
    return each.parameters[0] if each.kind == "opaque" and each.name == "optional_type" else None


# The notation of function tables: `list(T)`, `optional(int)`, `kubernetes.Quantity`.
_WORD = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(\()?")


def parse(text: str) -> Type:
    """A type from its notation; a single capital letter is a parameter, other unknown words are opaque types."""
    found, rest = _parse(text)
    assert not rest.strip(), text
    return found


def _parse(text: str) -> tuple[Type, str]:
    match = _WORD.match(text)
    assert match is not None, text
    word, rest, inner = match[1], text[match.end() :], []
    if match[2]:
        while True:
            one, rest = _parse(rest)
            inner.append(one)
            rest = rest.lstrip()
            mark, rest = rest[0], rest[1:]
            if mark == ")":
                break
    return _named(word, tuple(inner)), rest


def _named(word: str, inner: tuple[Type, ...]) -> Type:
    if word in SIMPLE:
        return SIMPLE[word]
    if word in ("list", "map", "type"):
        return Type(word, "", inner)
    if word == "optional":
        return optional_of(*inner)
    return param(word) if len(word) == 1 else Type("opaque", word, inner)


RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})  # fmt: skip
"""Words that may not name a variable or a function."""
KEYWORDS = RESERVED | {"true", "false", "null", "in"}
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|[-./]")
_ESCAPABLE = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*", re.ASCII)


def escape(name: str) -> str | None:
    """A property's name as expressions write it; None when they cannot."""
    if name in KEYWORDS:
        return f"__{name}__"
    if _ESCAPABLE.fullmatch(name) is None:
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)
