"""From a protobuf body to the JSON document that it stands for.

The document may hold empty values that Go's JSON would leave out: `schema.conform`, which every document passes,
takes them away.
"""

import base64
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Any

import orjson

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
from kajitori.api.protobuf.wire import Malformed, Value, fields, signed, varint
from kajitori.api.schema.definitions import definition_of
from kajitori.api.schema.nodes import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    INT32,
    INT64,
    INT_OR_STRING,
    LIST,
    MAP,
    MICRO_TIME,
    QUANTITY,
    SCHEMA_OR_ARRAY,
    SCHEMA_OR_BOOL,
    SCHEMA_OR_STRINGS,
    STRING,
    STRUCT,
    TIME,
    Node,
    node_of,
)
from kajitori.api.times import micro_timestamp, timestamp

MAGIC = b"k8s\x00"
_INLINE = "="
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_NO_PREFIX = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
_OPTIONS = ("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "Status")
_SUBRESOURCE_STATUS = "CustomResourceSubresourceStatus"


@dataclass(slots=True)
class _Numbers:
    """Field names by number; `inline` are structs whose fields belong to the struct around them."""

    names: dict[int, str] = field(default_factory=dict)
    inline: dict[int, "_Numbers"] = field(default_factory=dict)


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, Any]]:
    text = resources.files("kajitori.api.protobuf").joinpath("field_numbers.json").read_bytes()
    return orjson.loads(text)  # type: ignore[no-any-return]


def _numbers(entries: dict[str, Any]) -> _Numbers:
    numbers = _Numbers()
    for name, value in entries.items():
        if name.startswith(_INLINE):
            numbers.inline[int(name[1:])] = _numbers(value)
        else:
            numbers.names[value] = name
    return numbers


@lru_cache(maxsize=1024)
def _numbers_of(definition: str) -> _Numbers:
    return _numbers(_table().get(definition, {}))


def decode_protobuf(body: bytes) -> Object:
    """An object in upstream's envelope (runtime.Unknown), with its kind and apiVersion. Raises BadRequest."""
    if not body.startswith(MAGIC):
        raise BadRequest(_NO_PREFIX)
    try:
        api_version, kind, raw = _envelope(memoryview(body)[len(MAGIC) :])
        node = node_of(_definition(api_version, kind))
        document = _struct(node, raw)
    except (ValueError, OverflowError, OSError) as error:  # Malformed, bad UTF-8, bad JSON inside, years out of range
        raise BadRequest(f"the body is not valid protobuf: {error}") from None
    except KeyError:
        raise BadRequest(
            f'no kind "{kind}" is registered for version "{api_version}": send custom resources as JSON'
        ) from None
    return {"kind": kind, "apiVersion": api_version, **document}


def _envelope(data: memoryview) -> tuple[str, str, memoryview]:
    api_version = kind = ""
    raw = memoryview(b"")
    for number, value in fields(data):
        if number == 1:
            for part, text in fields(_bytes(value)):
                if part == 1:
                    api_version = _text(text)
                elif part == 2:
                    kind = _text(text)
        elif number == 2:
            raw = _bytes(value)
    return api_version, kind, raw


def _definition(api_version: str, kind: str) -> str:
    if kind in _OPTIONS:
        return _META + kind
    group, _, version = api_version.rpartition("/")
    return definition_of(group, version, kind)


def _bytes(value: Value) -> memoryview:
    if not isinstance(value, memoryview):
        raise Malformed("a number stands where bytes belong")
    return value


def _text(value: Value) -> str:
    return bytes(_bytes(value)).decode()


def _struct(node: Node, data: memoryview, numbers: _Numbers | None = None, into: Object | None = None) -> Object:
    numbers = numbers if numbers is not None else _numbers_of(node.definition)
    document: Object = into if into is not None else {}
    for number, value in fields(data):
        name = numbers.names.get(number)
        if name is None:
            if inner := numbers.inline.get(number):
                _struct(node, _bytes(value), inner, document)
            continue
        known = node.fields.get(name)
        if known is None:
            continue
        child = known.node
        if child.kind == LIST:
            _append(child, value, document.setdefault(name, []))
        elif child.kind == MAP:
            key, item = _map_entry(child, _bytes(value))
            document.setdefault(name, {})[key] = item
        else:
            document[name] = _value(child, value)
    return document


def _append(node: Node, value: Value, into: list[Any]) -> None:
    element = node.element
    assert element is not None, "a list has an element type"
    if isinstance(value, memoryview) and element.kind in (INT32, INT64, BOOL):  # packed
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            into.append(_value(element, number))
    else:
        into.append(_value(element, value))


def _map_entry(node: Node, data: memoryview) -> tuple[str, Any]:
    element = node.element
    assert element is not None, "a map has a value type"
    key, item = "", None
    for number, value in fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            item = _wrapped_list(element, _bytes(value)) if element.kind == LIST else _value(element, value)
    return key, _absent(element) if item is None else item


def _wrapped_list(node: Node, data: memoryview) -> list[Any]:
    """A list inside a map travels as a message with one repeated field."""
    items: list[Any] = []
    for _, value in fields(data):
        _append(node, value, items)
    return items


def _absent(node: Node) -> Any:
    return {STRING: "", BYTES: "", LIST: [], STRUCT: {}, MAP: {}}.get(node.kind)


def _value(node: Node, value: Value) -> Any:
    kind = node.kind
    if kind == STRING:
        return _text(value)
    if kind in (INT32, INT64):
        if not isinstance(value, int):
            raise Malformed("bytes stand where a number belongs")
        return signed(value)
    if kind == BOOL:
        return bool(value)
    if kind == STRUCT:
        return _struct(node, _bytes(value))
    if kind == FLOAT:
        return value if isinstance(value, int | float) else 0.0
    if kind == BYTES:
        return base64.b64encode(_bytes(value)).decode()
    return _SPECIAL[kind](node, _bytes(value))


def _time(node: Node, data: memoryview) -> str | None:
    parts = {number: signed(value) for number, value in fields(data) if isinstance(value, int)}
    if not parts:
        return None
    seconds, nanoseconds = parts.get(1, 0), parts.get(2, 0)
    return timestamp(seconds) if node.kind == TIME else micro_timestamp(seconds + nanoseconds / 1e9)


def _quantity(node: Node, data: memoryview) -> str:
    return next((_text(value) for number, value in fields(data) if number == 1), "0")


def _int_or_string(node: Node, data: memoryview) -> int | str:
    parts = dict(fields(data))
    if parts.get(1):
        return _text(parts.get(3, memoryview(b"")))
    number = parts.get(2, 0)
    return signed(number) if isinstance(number, int) else 0


def _embedded(node: Node, data: memoryview) -> Any:
    """RawExtension, JSON and FieldsV1 hold JSON in their first field."""
    if node.definition.endswith(_SUBRESOURCE_STATUS):
        return {}
    raw = next((bytes(_bytes(value)) for number, value in fields(data) if number == 1), b"")
    return orjson.loads(raw) if raw else None


def _schema_choice(node: Node, data: memoryview) -> Any:
    """JSONSchemaPropsOrBool {allows, schema}, OrArray {schema, jSONSchemas}, OrStringArray {schema, property}."""
    schema = node.element
    assert schema is not None, "the choice is between a schema and something else"
    allows, chosen, many, texts = False, None, [], []
    for number, value in fields(data):
        if node.kind == SCHEMA_OR_BOOL:
            if number == 1:
                allows = bool(value)
            elif number == 2:
                chosen = _struct(schema, _bytes(value))
        elif number == 1:
            chosen = _struct(schema, _bytes(value))
        elif number == 2 and node.kind == SCHEMA_OR_ARRAY:
            many.append(_struct(schema, _bytes(value)))
        elif number == 2:
            texts.append(_text(value))
    if chosen is not None:
        return chosen
    return {SCHEMA_OR_BOOL: allows, SCHEMA_OR_ARRAY: many, SCHEMA_OR_STRINGS: texts}[node.kind]


_SPECIAL = {
    TIME: _time,
    MICRO_TIME: _time,
    QUANTITY: _quantity,
    INT_OR_STRING: _int_or_string,
    ANY: _embedded,
    SCHEMA_OR_BOOL: _schema_choice,
    SCHEMA_OR_ARRAY: _schema_choice,
    SCHEMA_OR_STRINGS: _schema_choice,
}
