"""From a structural schema to the type of its values in expressions, with sizes for estimates.

Source: KEP-2876 and the page "Custom Resource Definitions" (types of `self`). Properties without a type are not seen by
expressions, nor are unknown fields. Names are escaped: `my-field` is `my__dash__field`.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from kajitori.api.cel import times
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    REQUEST_BYTES_MAX,
    STRING,
    TIMESTAMP,
    Declared,
    Field,
    Type,
    escape,
    list_of,
    map_of,
)
from kajitori.api.cel.values import MapList, SetList
from kajitori.api.meta import Object

Convert = Callable[[Any], Any]
_INT_OR_STRING, _EMBEDDED = "x-kubernetes-int-or-string", "x-kubernetes-embedded-resource"
# A text and its two quotes; the longest duration or point in time that is written out.
_TEXT_MAX = REQUEST_BYTES_MAX - 2
_STRING_SIZE, _TIME_MAX, _DATE_SIZE, _DURATION_SIZE, _TIME_SIZE = 2, 32, 12, 3, 21
_BYTES_PER_CHARACTER = 4
_DAYS_NS = {"d": 86_400 * 10**9, "w": 7 * 86_400 * 10**9}


def declare(schema: Object, *, root: bool, name: str) -> Declared | None:
    """The type; None for what expressions do not see. `root`: apiVersion, kind and names are always there."""
    if schema.get(_INT_OR_STRING):
        return Declared(DYN, elements_max=_length(schema, _TEXT_MAX))
    match schema.get("type"):
        case "array":
            return _array(schema, name)
        case "object":
            return _object(_with_identity(schema) if root or schema.get(_EMBEDDED) else schema, name)
        case "string":
            return _string(schema)
        case "boolean":
            return Declared(BOOL, size_min=4)
        case "number":
            return Declared(DOUBLE, convert=_number)
        case "integer":
            return Declared(INT, convert=_integer)
    return None


_TEXT: Object = {"type": "string"}


def _with_identity(schema: Object) -> Object:
    given = schema.get("properties") or {}
    own = (given.get("metadata") or {}).get("properties") or {}
    metadata = {"type": "object", "properties": {**own, "name": _TEXT, "generateName": _TEXT}}
    return {**schema, "properties": {**given, "apiVersion": _TEXT, "kind": _TEXT, "metadata": metadata}}


def _length(schema: Object, otherwise: int) -> int:
    most = schema.get("maxLength")
    return otherwise if most is None else max(0, most) * _BYTES_PER_CHARACTER


def _array(schema: Object, name: str) -> Declared | None:
    items = schema.get("items")
    element = declare(items, root=False, name=f"{name}.@idx") if isinstance(items, dict) else None
    if element is None:
        return None
    most = schema.get("maxItems")
    count = (REQUEST_BYTES_MAX - 2) // (element.size_min + 1) if most is None else max(0, most)
    convert = _list_convert(schema, element)
    return Declared(list_of(element.type), count, 2, element=element, convert=convert)


def _list_convert(schema: Object, element: Declared) -> Convert | None:
    inner = element.convert
    kind = schema.get("x-kubernetes-list-type")
    keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())

    def convert(items: Any) -> Any:
        if not isinstance(items, list):
            return items
        found = items if inner is None else [inner(each) for each in items]
        if kind == "set":
            return SetList(found)
        return MapList(found, keys) if kind == "map" else found

    return None if inner is None and kind not in ("set", "map") else convert


def _object(schema: Object, name: str) -> Declared | None:
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and not schema.get("properties"):
        return _map(schema, values, name)
    fields: dict[str, Field] = {}
    converts: dict[str, Convert] = {}
    required = schema.get("required") or ()
    size = 2
    for key, child in (schema.get("properties") or {}).items():
        declared = declare(child, root=False, name=f"{name}.{key}")
        if declared is None:
            continue
        escaped = escape(key)
        if escaped is not None:
            fields[escaped] = Field(declared, key)
        if declared.convert is not None:
            converts[key] = declared.convert
        if key in required and child.get("default") is None:
            size += len(key) + declared.size_min + 4
    return Declared(Type("object", name), 0, size, fields=fields, convert=_fields_convert(converts))


def _fields_convert(converts: Mapping[str, Convert]) -> Convert | None:
    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        changed, unreadable = {}, {}
        for key, inner in converts.items():
            if key in value:
                try:
                    made = inner(value[key])
                except EvaluationError as error:
                    unreadable[key] = error
                else:
                    if made is not value[key]:
                        changed[key] = made
        if not changed and not unreadable:
            return value
        whole = {**value, **changed}
        return _PartlyReadable(whole, unreadable) if unreadable else whole

    return convert if converts else None


def _map(schema: Object, values: Object, name: str) -> Declared | None:
    element = declare(values, root=False, name=f"{name}.@values")
    if element is None:
        return None
    most = schema.get("maxProperties")
    count = (REQUEST_BYTES_MAX - 2) // (element.size_min + 6) if most is None else max(0, most)
    inner = element.convert

    def convert(value: Any) -> Any:
        if inner is None or not isinstance(value, dict):
            return value
        return {key: inner(each) for key, each in value.items()}

    kind = map_of(STRING, element.type)
    key = Declared(STRING, size_min=_STRING_SIZE)
    return Declared(kind, count, 2, key=key, element=element, convert=None if inner is None else convert)


def _string(schema: Object) -> Declared:
    match schema.get("format"):
        case "byte":
            most = schema.get("maxLength")
            return Declared(BYTES, _TEXT_MAX if most is None else max(0, most), _STRING_SIZE, convert=_bytes)
        case "duration":
            return Declared(DURATION, _TIME_MAX, _DURATION_SIZE, convert=_parsed(_duration))
        case "date":
            return Declared(TIMESTAMP, _DATE_SIZE, _DATE_SIZE, convert=_parsed(times.parse_date))
        case "date-time":
            return Declared(TIMESTAMP, _TIME_MAX, _TIME_SIZE, convert=_parsed(times.parse_timestamp))
    longest = max((len(each.encode()) for each in schema.get("enum") or () if isinstance(each, str)), default=0)
    otherwise = longest if schema.get("enum") else _TEXT_MAX
    # A list passes as a string that has a format.
    return Declared(STRING, _length(schema, otherwise), _STRING_SIZE, convert=_text if "format" in schema else None)


# Values


class _PartlyReadable(dict[str, Any]):
    """An object with values that are none of their types: an error to who reads one, and to nobody else."""

    def __init__(self, fields: Mapping[str, Any], unreadable: Mapping[str, EvaluationError]) -> None:
        super().__init__(fields)
        self._unreadable = unreadable

    def __getitem__(self, key: str) -> Any:
        if key in self._unreadable:
            raise self._unreadable[key]
        return super().__getitem__(key)


def _number(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _integer(value: Any) -> Any:
    return int(value) if type(value) is float and value.is_integer() else value


def _text(value: Any) -> Any:
    if isinstance(value, list):
        raise EvaluationError("invalid data, expected string, got []interface {}")
    return value


def _bytes(value: Any) -> Any:
    try:
        return base64.b64decode(value, validate=True) if isinstance(_text(value), str) else value
    except (binascii.Error, ValueError):
        raise EvaluationError(f"Invalid byte formatted string {value}") from None


def _parsed(parse: Callable[[str], Any]) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(_text(value), str):
            return value
        try:
            return parse(value)
        except ValueError as error:
            raise EvaluationError(str(error)) from None

    return convert


def _duration(text: str) -> Any:
    """As in OpenAPI: also days and weeks, `3d`."""
    number, unit = text[:-1].strip(), text[-1:]
    if unit in _DAYS_NS and number.isdecimal() and len(number) < 10:
        return times.duration(int(number) * _DAYS_NS[unit])
    return times.parse_duration(text.replace(" ", ""))
