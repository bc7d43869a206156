"""A version 2 document in protobuf: the message `openapi.v2.Document`, the only form that client-go reads it in.

`kubectl` takes this road when it validates a kind that no version 3 document has, and for
`explain --output=plaintext-openapiv2`. The tables hold the message's field numbers; values of any shape (defaults,
enums, vendor extensions) travel as text in YAML, of which JSON is a part.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.api.protobuf.wire import bytes_field, double_field, number_field

Encoder = Callable[[int, Any], bytes]
"""A field's number and value -> its bytes."""


def encoded(document: Object) -> bytes:
    """Keywords that the tables do not have are left out: other servers' documents are among ours."""
    return _message(document, _DOCUMENT)


def _text(number: int, value: str) -> bytes:
    return bytes_field(number, value.encode())


def _any(number: int, value: Any) -> bytes:
    return bytes_field(number, bytes_field(2, orjson.dumps(value)))


def _each(encoder: Encoder) -> Encoder:
    return lambda number, values: b"".join(encoder(number, value) for value in values)


def _one(table: Mapping[str, tuple[int, Encoder]], extensions: int) -> Encoder:
    return lambda number, value: bytes_field(number, _message(value, (table, extensions)))


def _within(number: int, encoder: Encoder) -> Encoder:
    """A value wrapped in a message of one field."""
    return lambda outer, value: bytes_field(outer, encoder(number, value))


def _named(number: int, encoder: Encoder) -> Encoder:
    """A map: entries of name (1) and value (2), repeated in `number`."""

    def encode(outer: int, values: Mapping[str, Any]) -> bytes:
        entries = (bytes_field(number, _text(1, name) + encoder(2, value)) for name, value in values.items())
        return bytes_field(outer, b"".join(entries))

    return encode


def _message(value: Object, shape: tuple[Mapping[str, tuple[int, Encoder]], int]) -> bytes:
    return b"".join(_fields(value, *shape))


def _fields(value: Object, table: Mapping[str, tuple[int, Encoder]], extensions: int) -> Iterator[bytes]:
    for key, child in value.items():
        if key.startswith("x-"):
            yield bytes_field(extensions, _text(1, key) + _any(2, child))
        elif key in table:
            number, encoder = table[key]
            yield encoder(number, child)


def _schema(number: int, value: Object) -> bytes:
    return bytes_field(number, _message(value, (_SCHEMA, 31)))


def _types(number: int, value: str | list[str]) -> bytes:
    kinds = [value] if isinstance(value, str) else value
    return bytes_field(number, b"".join(_text(1, kind) for kind in kinds))


def _strings(number: int, values: list[str]) -> bytes:
    return bytes_field(number, b"".join(_text(1, value) for value in values))


def _additional(number: int, value: Object | bool) -> bytes:
    return bytes_field(number, number_field(2, value) if isinstance(value, bool) else _schema(1, value))


def _parameter(number: int, value: Object) -> bytes:
    """A `ParametersItem`: a `Parameter`, or a reference to one."""
    if "$ref" in value:
        return bytes_field(number, bytes_field(2, _text(1, value["$ref"])))
    return bytes_field(number, _parameter_itself(1, value))


def _parameter_itself(number: int, value: Object) -> bytes:
    """A `Parameter`, which is a body or one of several places."""
    place = value["in"]
    if place == "body":
        found = bytes_field(1, _message(value, (_BODY, 6)))
    elif place == "query":
        found = bytes_field(2, bytes_field(3, _message(value, (_QUERY, 23))))
    else:
        found = bytes_field(2, bytes_field(4, _message(value, (_IN_PATH, 22))))
    return bytes_field(number, found)


_SCHEMA: dict[str, tuple[int, Encoder]] = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _any),
    "multipleOf": (6, double_field),
    "maximum": (7, double_field),
    "exclusiveMaximum": (8, number_field),
    "minimum": (9, double_field),
    "exclusiveMinimum": (10, number_field),
    "maxLength": (11, number_field),
    "minLength": (12, number_field),
    "pattern": (13, _text),
    "maxItems": (14, number_field),
    "minItems": (15, number_field),
    "uniqueItems": (16, number_field),
    "maxProperties": (17, number_field),
    "minProperties": (18, number_field),
    "required": (19, _each(_text)),
    "enum": (20, _each(_any)),
    "additionalProperties": (21, _additional),
    "type": (22, _types),
    "items": (23, _within(1, _schema)),
    "allOf": (24, _each(_schema)),
    "properties": (25, _named(1, _schema)),
    "discriminator": (26, _text),
    "readOnly": (27, number_field),
    "externalDocs": (29, _one({"description": (1, _text), "url": (2, _text)}, 3)),
    "example": (30, _any),
}
_BODY: dict[str, tuple[int, Encoder]] = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, number_field),
    "schema": (5, _schema),
}
_QUERY: dict[str, tuple[int, Encoder]] = {
    "required": (1, number_field),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "uniqueItems": (20, number_field),
}
_IN_PATH: dict[str, tuple[int, Encoder]] = {
    "required": (1, number_field),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "uniqueItems": (19, number_field),
}
_ANSWER: dict[str, tuple[int, Encoder]] = {"description": (1, _text), "schema": (2, _within(1, _schema))}
_OPERATION: dict[str, tuple[int, Encoder]] = {
    "tags": (1, _each(_text)),
    "summary": (2, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _each(_text)),
    "consumes": (7, _each(_text)),
    "parameters": (8, _each(_parameter)),
    "responses": (9, _named(1, _within(1, _one(_ANSWER, 5)))),
    "schemes": (10, _each(_text)),
    "deprecated": (11, number_field),
}
_operation = _one(_OPERATION, 13)
_PATH: dict[str, tuple[int, Encoder]] = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "options": (6, _operation),
    "head": (7, _operation),
    "patch": (8, _operation),
    "parameters": (9, _each(_parameter)),
}
_API_KEY: dict[str, tuple[int, Encoder]] = {
    "type": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "description": (4, _text),
}
_INFO: dict[str, tuple[int, Encoder]] = {"title": (1, _text), "version": (2, _text)}
_DOCUMENT: tuple[dict[str, tuple[int, Encoder]], int] = (
    {
        "swagger": (1, _text),
        "info": (2, _one(_INFO, 7)),
        "paths": (8, _named(2, _one(_PATH, 10))),
        "definitions": (9, _named(1, _schema)),
        "parameters": (10, _named(1, _parameter_itself)),
        "security": (12, _each(_named(1, _strings))),
        "securityDefinitions": (13, _named(1, _within(2, _one(_API_KEY, 5)))),
    },
    16,
)
