"""How upstream's own (internal) types show a value in a refusal: every field, by its Go name and in its order.

`internal_shapes.json` holds a line per struct, `group.Name`; a field is `GoName[=name in documents] type[,omitted]`,
and one without a Go name is embedded. Types are `*T`, `[]T`, `{}T` (a map), a struct, or one of `_ABSENT`. It is read
when the first refusal needs it.
"""

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import orjson

from kajitori.api.field_errors import InOrder
from kajitori.api.meta import Object

_ABSENT: dict[str, Any] = {"string": "", "bool": False, "int": 0, "intstr": 0, "quantity": "0"}
"""What Go shows where a document has nothing; null for all others."""
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
"""Fields of a pod's spec that the internal type keeps in its security context."""


class _Field(NamedTuple):
    shown: str
    name: str
    type: str
    omitted: bool


@lru_cache(maxsize=1)
def _structs() -> dict[str, list[str]]:
    found: dict[str, list[str]] = orjson.loads(
        resources.files(__package__).joinpath("internal_shapes.json").read_bytes()
    )
    return found


@lru_cache(maxsize=256)
def _fields(struct: str) -> tuple[_Field, ...]:
    return tuple(_field(line) for line in _structs()[struct])


def _field(line: str) -> _Field:
    names, _, kind = line.partition(" ")
    shown, given, name = names.partition("=")
    return _Field(
        shown,
        name if given else shown[:1].lower() + shown[1:],
        kind.removesuffix(",omitted"),
        kind.endswith(",omitted"),
    )


def as_shown(struct: str, value: Object | None) -> InOrder | None:
    """A document of this struct, such as `core.PodSpec`, in the form that a refusal shows."""
    return None if value is None else InOrder(_pairs(struct, value))


def list_as_shown(struct: str, values: list[Object] | None) -> list[InOrder] | None:
    return None if values is None else [InOrder(_pairs(struct, value)) for value in values]


def difference(struct: str, old: Object, new: Object) -> str:
    """The changed lines of two documents, as a unified diff without headers."""
    before, after = (_lines(as_shown(struct, value)) for value in (old, new))
    changed = list(difflib.unified_diff(before, after))[2:]
    return "".join(changed)


def _lines(value: Any) -> list[str]:
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    text = re.sub(r"^ +", lambda indent: " " * (len(indent[0]) // 2), text, flags=re.MULTILINE)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return [f"{line}\n" for line in text.split("\n")]


def _pairs(struct: str, value: Object) -> Iterator[tuple[str, Any]]:
    if struct == "core.PodSpec":
        context = {name: value[name] for name in _HOST_FIELDS if name in value} | (value.get("securityContext") or {})
        value = {**value, "securityContext": context}
    for shown, name, kind, omitted in _fields(struct):
        if not shown:
            yield from _pairs(kind, (value.get(name) or {}) if name else value)
            continue
        found = value.get(name)
        if not (omitted and not found):
            yield shown, _shown(kind, found)


def _shown(kind: str, value: Any) -> Any:
    if kind.startswith("*"):
        return None if value is None else _shown(kind[1:], value)
    if kind.startswith("[]"):
        return None if value is None else [_shown(kind[2:], item) for item in value]
    if kind.startswith("{}"):
        return None if value is None else {key: _shown(kind[2:], value[key]) for key in sorted(value)}
    if "." in kind:
        return dict(_pairs(kind, value or {}))
    return _ABSENT.get(kind) if value is None else value
