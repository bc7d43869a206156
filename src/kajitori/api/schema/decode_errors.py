"""The words of Go's JSON decoder for a value of the wrong type, as upstream passes them on.

They name Go structs and types, which OpenAPI does not; `go_shapes.json` fills the gap. Built only for a refusal.
"""

from typing import Any

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
from kajitori.api.schema.definitions import definitions, go_shapes, reference, type_of
from kajitori.api.schema.nodes import (
    BYTES,
    FLOAT,
    INT32,
    INT64,
    INT_OR_STRING,
    LIST,
    MAP,
    MICRO_TIME,
    STRING,
    STRUCT,
    TIME,
    Node,
)

Place = tuple[Any, Any, str]
"""Where the walk is: place of the parent or None; field name, map key or list index; definition of the struct or ""."""

_LITERALS: dict[type, str] = {
    str: "string",
    bool: "bool",
    dict: "object",
    list: "array",
    int: "number",
    float: "number",
}
_INTEGERS = {"int32", "int64", "int", "uint16"}
_KINDS = {INT_OR_STRING: "int32", FLOAT: "float64"}
_CONVERTIBLE = {("float64", INT32), ("float64", INT64), ("int64", STRING)}
_OWN_DECODER = {TIME: "string", MICRO_TIME: "string", INT_OR_STRING: "int32"}


def path_of(place: Place | None) -> str:
    """`spec.containers[0].image`."""
    parts: list[str] = []
    while place is not None:
        parent, key, _ = place
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
        place = parent
    return "".join(reversed(parts)).removeprefix(".")


class Undecodable(BadRequest):
    """A value of the wrong type. `why` is the decoder's message; `conversion` is what a strategic merge patch says."""

    why = ""
    conversion = ""


def wrong_type(place: Place, value: Any, node: Node) -> str:
    """`json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`."""
    go_type = _OWN_DECODER.get(node.kind) or _go_type(place)
    literal = _LITERALS.get(type(value), "null")
    if literal == "number" and go_type in _INTEGERS:
        literal = f"number {value}"
    names, struct = _field_names(place)
    return f"json: cannot unmarshal {literal} into Go struct field {struct}.{'.'.join(names)} of type {go_type}"


def refuse(kind: str, version: str, why: str, conversion: str = "") -> Undecodable:
    error = Undecodable(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')
    error.why, error.conversion = why, conversion or why
    return error


def conversion(place: Place, value: Any, node: Node) -> str:
    """Words of the converter that makes Go values of a patched document, instead of the JSON decoder."""
    found = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}[type(value)]
    if node.kind in _OWN_DECODER:  # asked in JSON
        return f"json: cannot unmarshal {_LITERALS[type(value)]} into Go value of type {_OWN_DECODER[node.kind]}"
    if node.kind in (LIST, BYTES):
        return f"cannot restore slice from {found}"
    if node.kind == MAP:
        return f"cannot restore map from {found}"
    if node.kind == STRUCT:
        return f"cannot restore struct from: {found}"
    if (found, node.kind) in _CONVERTIBLE:  # Go converts one into the other, but never loses a value silently
        return f"cannot convert {found} to {_go_type(place)}"
    return f"unrecognized type: {_KINDS.get(node.kind, node.kind)}"


def _field_names(place: Place | None) -> tuple[list[str], str]:
    names: list[str] = []
    struct = ""
    while place is not None:
        parent, key, definition = place
        if definition:
            struct = struct or definition.rpartition(".")[2]
            names.append(key)
            if embedded := go_shapes().get(definition, {}).get("embedded", {}).get(key):
                names.append(embedded)
        place = parent
    return names[::-1], struct


def _go_type(place: Place) -> str:
    """The Go type of a field; of a list's item or a map's value when the place is inside one."""
    depth = 0
    at: Place | None = place
    while at is not None and not at[2]:
        depth += 1
        at = at[0]
    assert at is not None, "every place is inside a struct"
    _, key, definition = at
    schema = definitions()[definition]["properties"][key]
    shown = go_shapes().get(definition, {}).get("types", {}).get(key) or _derived(schema)
    for _ in range(depth):
        schema = schema.get("items") or schema.get("additionalProperties") or {}
        if shown.startswith("[]"):
            shown = shown[2:]
        elif shown.startswith("map["):
            shown = shown.partition("]")[2]
        else:
            shown = _derived(schema)
    return shown.removeprefix("*")


def _derived(schema: Object) -> str:
    if name := reference(schema):
        return ".".join(name.split(".")[-2:])
    match type_of(schema):
        case "array":
            return f"[]{_derived(schema.get('items', {}))}"
        case "object":
            return f"map[string]{_derived(schema.get('additionalProperties') or {})}"
        case "boolean":
            return "bool"
        case "integer":
            return str(schema.get("format", "int64"))
        case "number":
            return "float64"
    return "[]uint8" if schema.get("format") == "byte" else "string"
