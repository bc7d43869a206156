"""Making a decoded document what its Go type would have decoded and written back: one walk, in place.

Unknown fields are removed and reported, nulls dropped, optional empty values left out, absent structs filled in,
quantities and times put in canonical form, and the first value of a wrong type raises BadRequest in upstream's words.
"""

import re
from base64 import b64encode
from copy import deepcopy
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.api.remembering import keep
from kajitori.api.resource import Resource
from kajitori.api.schema import decode_errors, scalars, structural
from kajitori.api.schema.decode_errors import Place, path_of
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

_ZERO = {STRING: "", BOOL: False, INT32: 0, INT64: 0, FLOAT: 0, INT_OR_STRING: 0, QUANTITY: "0", BYTES: ""}
_TEXTS = {TIME: scalars.timestamp, MICRO_TIME: scalars.micro_timestamp}


class _Mismatch(Exception):
    """The decoder's and the converter's message; becomes an Undecodable once the kind is known."""

    def __init__(self, why: str, conversion: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.conversion = conversion


def _mismatch(at: Place, value: Any, node: Node) -> _Mismatch:
    return _Mismatch(decode_errors.wrong_type(at, value, node), decode_errors.conversion(at, value, node))


def conform(resource: Resource, obj: Object, *, keep_nulls: bool = False) -> list[str]:
    """Paths of the unknown fields, which are gone from `obj` afterwards; raises BadRequest.

    A custom resource is pruned by its own schema; defaults and validation of it are `structural`'s. `keep_nulls` is for
    one that has not been decoded just now: validation refuses those that are not allowed.
    """
    if resource.schema is not None:
        unknown = _conform_custom(resource, resource.schema, obj)
        if not keep_nulls:
            structural.drop_nulls(resource.schema, obj)
        return unknown
    spec = obj.get("spec")
    if type(spec) is not dict:
        return conform_definition(resource.definition, obj, kind=resource.kind, version=resource.version)
    return _conform_but_spec(resource, obj, spec)


_REMEMBERED, _REMEMBERED_BYTES_MAX = 512, 8192
_specs: dict[tuple[str, bytes], bytes] = {}
"""By definition and spec as it came: the spec as it is kept, of those without unknown fields."""


def _conform_but_spec(resource: Resource, obj: Object, spec: Object) -> list[str]:
    """A spec that equals an earlier one need not be walked again."""
    try:
        key = (resource.definition, orjson.dumps(spec))
    except TypeError:  # numbers beyond 64 bits, out of YAML: the walk says what is wrong with them
        key = (resource.definition, b"")
    known = _specs.get(key)
    if known is not None:
        obj["spec"] = {}
    unknown = conform_definition(resource.definition, obj, kind=resource.kind, version=resource.version)
    if known is not None:
        obj["spec"] = orjson.loads(known)
    elif not unknown and 0 < len(key[1]) <= _REMEMBERED_BYTES_MAX:
        keep(_specs, key, orjson.dumps(obj["spec"]), _REMEMBERED)
    return unknown


def conform_definition(definition: str, obj: Object, *, kind: str = "", version: str = "v1") -> list[str]:
    """The same for any definition, such as what travels to a subresource (Scale, Eviction, DeleteOptions)."""
    unknown: list[str] = []
    try:
        _struct(node_of(definition), obj, None, unknown)
    except _Mismatch as error:
        name = kind or definition.rpartition(".")[2]
        error = _at_once(node_of(definition), obj, None) or error
        raise decode_errors.refuse(name, version, error.why, error.conversion) from None
    return unknown


_CHOICES = frozenset((SCHEMA_OR_ARRAY, SCHEMA_OR_BOOL, SCHEMA_OR_STRINGS))
_OWN_DECODERS = frozenset((TIME, MICRO_TIME, INT_OR_STRING, QUANTITY))
_STRUCT_NAME = re.compile(r"(?<=Go struct field )\w+")


def _at_once(node: Node | None, value: Any, at: Place | None) -> _Mismatch | None:
    """What stops Go's decoder: the first error of a type with a decoder of its own. Of all other errors it tells the
    first only when it is through. The message is about the struct that holds the type."""
    if node is None:
        return None
    if node.kind == STRUCT and type(value) is dict:
        for key, item in value.items():
            field = node.fields.get(key)
            if field is not None and (found := _at_once(field.node, item, (at, key, node.definition))) is not None:
                return found
    elif at is not None and node.kind in _OWN_DECODERS and value is not None:
        try:
            _SCALARS[node.kind](node, value, at)
        except _Mismatch as error:
            return error
    elif at is not None and node.kind in _CHOICES:
        schema = node.element
        for key, item in enumerate(value) if type(value) is list else ((None, value),):
            inside = at if key is None else (at, key, "")
            if (found := _at_once(schema, item, inside)) is not None:
                return found
        try:
            _schema_choice(node, deepcopy(value), at, [])
        except _Mismatch as error:
            holder = at[2].rpartition(".")[2] or "JSONSchemaProps"
            return _Mismatch(_STRUCT_NAME.sub(holder, error.why), error.conversion)
    elif (node.kind == MAP and type(value) is dict) or (node.kind == LIST and type(value) is list):
        for key, item in value.items() if type(value) is dict else enumerate(value):
            if at is not None and (found := _at_once(node.element, item, (at, key, ""))) is not None:
                return found
    return None


def _conform_custom(resource: Resource, schema: Object, obj: Object) -> list[str]:
    unknown: list[str] = []
    metadata = obj.get("metadata")
    if metadata is not None:
        try:
            if type(metadata) is not dict:
                raise _Mismatch("metadata must be an object")
            _struct(node_of(structural.OBJECT_META), metadata, (None, "metadata", ""), unknown)
        except _Mismatch as error:
            raise decode_errors.refuse(resource.kind, resource.version, error.why, error.conversion) from None
    unknown.sort()  # upstream looks at metadata, at the rest and at objects inside one after the other
    inside: list[Object] = []
    unknown += sorted(structural.prune(schema, obj, inside))
    if inside:
        from kajitori.api.schema.embedded import coerce  # few kinds have these

        try:
            unknown += coerce(schema, obj)
        except ValueError as error:
            raise decode_errors.refuse(resource.kind, resource.version, str(error)) from None
    return unknown


def empty_object(resource: Resource) -> Object:
    """What Go's zero value of the kind would be written as: what a create starts from."""
    made: Object = {"apiVersion": resource.api_version, "kind": resource.kind}
    if resource.schema is None:
        _struct(node_of(resource.definition), made, None, [])
    return made


def fill(definition: str, obj: Object) -> None:
    """Only fill in and canonicalise an object that our own code made."""
    conform_definition(definition, obj)


def _struct(node: Node, obj: Object, at: Place | None, unknown: list[str]) -> None:
    fields, definition = node.fields, node.definition
    for key, value in list(obj.items()):
        field = fields.get(key)
        if field is None:
            unknown.append(path_of((at, key, definition)))
            del obj[key]
            continue
        if value is None:
            del obj[key]
            continue
        child = field.node
        if child.kind == STRING and type(value) is str:
            if field.omit_empty and not value:
                del obj[key]
            continue
        new = _value(child, value, (at, key, definition), unknown)
        if new is None or (field.omit_empty and _is_empty(new)):
            del obj[key]
        elif new is not value:
            obj[key] = new
    for key, value in node.always:
        if key not in obj:
            if type(value) is dict:
                obj[key] = _empty(fields[key].node)
            else:
                obj[key] = value


def _empty(node: Node) -> Object:
    made: Object = {}
    if node.kind == STRUCT:
        _struct(node, made, None, [])
    return made


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == "" or value == 0 or value == {} or value == []


def _value(node: Node, value: Any, at: Place, unknown: list[str]) -> Any:
    kind = node.kind
    if kind == STRUCT:
        if type(value) is not dict:
            raise _mismatch(at, value, node)
        _struct(node, value, at, unknown)
        return value
    if kind == LIST:
        return _list(node, value, at, unknown)
    if kind == MAP:
        return _map(node, value, at, unknown)
    if kind == ANY:
        return value
    if kind in _SCALARS:
        return _SCALARS[kind](node, value, at)
    return _schema_choice(node, value, at, unknown)


def _list(node: Node, value: Any, at: Place, unknown: list[str]) -> Any:
    if type(value) is not list:
        raise _mismatch(at, value, node)
    element = node.element
    assert element is not None, "a list has an element type"
    for index, item in enumerate(value):
        if element.kind == STRING and type(item) is str:
            continue
        new = _absent(element) if item is None else _value(element, item, (at, index, ""), unknown)
        if new is not item:
            value[index] = new
    return value


def _map(node: Node, value: Any, at: Place, unknown: list[str]) -> Any:
    if type(value) is not dict:
        raise _mismatch(at, value, node)
    element = node.element
    assert element is not None, "a map has a value type"
    for key, item in value.items():
        if element.kind == STRING and type(item) is str:
            continue
        new = _absent(element) if item is None else _value(element, item, (at, key, ""), unknown)
        if new is not item:
            value[key] = new
    return value


def _absent(node: Node) -> Any:
    """What Go decodes a null inside a list or map to."""
    return _empty(node) if node.kind == STRUCT else _ZERO.get(node.kind)


def _string(node: Node, value: Any, at: Place) -> Any:
    if type(value) is not str:
        raise _mismatch(at, value, node)
    return value


def _bool(node: Node, value: Any, at: Place) -> Any:
    if type(value) is not bool:
        raise _mismatch(at, value, node)
    return value


def _int32(node: Node, value: Any, at: Place) -> Any:
    if type(value) is not int or not scalars.INT32_MIN <= value <= scalars.INT32_MAX:
        raise _mismatch(at, value, node)
    return value


def _int64(node: Node, value: Any, at: Place) -> Any:
    if type(value) is not int or not scalars.INT64_MIN <= value <= scalars.INT64_MAX:
        raise _mismatch(at, value, node)
    return value


def _float(node: Node, value: Any, at: Place) -> Any:
    if type(value) is not int and type(value) is not float:
        raise _mismatch(at, value, node)
    return value


def _int_or_string(node: Node, value: Any, at: Place) -> Any:
    return value if type(value) is str else _int32(node, value, at)


def _text(node: Node, value: Any, at: Place) -> Any:
    if type(value) is not str:
        raise _mismatch(at, value, node)
    try:
        return _TEXTS[node.kind](value)
    except ValueError as error:
        raise _Mismatch(str(error)) from None


def _bytes(node: Node, value: Any, at: Place) -> Any:
    """Base64, or the numbers of the bytes one by one."""
    if type(value) is list:
        return b64encode(bytes(_byte(node, item, at) for item in value)).decode()
    if type(value) is not str:
        raise _mismatch(at, value, node)
    try:
        return scalars.base64_bytes(value)
    except ValueError as error:
        raise _Mismatch(str(error), f"error decoding from json: {error}") from None


def _byte(node: Node, value: Any, at: Place) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= 255:
        error = _mismatch(at, value, node)
        raise _Mismatch(error.why.replace("type []", "type "), error.conversion)
    return value


def _quantity(node: Node, value: Any, at: Place) -> Any:
    try:
        return scalars.quantity_text(value)
    except ValueError as error:
        raise _Mismatch(str(error)) from None


_SCALARS = {
    STRING: _string,
    BOOL: _bool,
    INT32: _int32,
    INT64: _int64,
    FLOAT: _float,
    INT_OR_STRING: _int_or_string,
    TIME: _text,
    MICRO_TIME: _text,
    BYTES: _bytes,
    QUANTITY: _quantity,
}


def _schema_choice(node: Node, value: Any, at: Place, unknown: list[str]) -> Any:
    """JSONSchemaPropsOrBool and its sisters have decoders of their own, which are not strict inside."""
    schema = node.element
    assert schema is not None, "the choice is between a schema and something else"
    if type(value) is dict:
        _struct(schema, value, at, [])
        return value
    if node.kind == SCHEMA_OR_BOOL and type(value) is bool:
        return value
    if node.kind == SCHEMA_OR_ARRAY and type(value) is list:
        for index, item in enumerate(value):
            _value(schema, item, (at, index, ""), [])
        return value
    if node.kind == SCHEMA_OR_STRINGS and type(value) is list:
        return value
    if node.kind == SCHEMA_OR_BOOL:
        raise _Mismatch("boolean or JSON schema expected")
    return None  # upstream's decoders of the others take anything else for nothing
