"""Checking a custom resource against its structural schema, with upstream's field errors."""

import ipaddress
import math
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import orjson

from kajitori.api.field_errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from kajitori.api.meta import Object
from kajitori.api.schema.scalars import timestamp

ERRORS_MAX = 250
"""An enumeration of a thousand values, missed a hundred thousand times, would be told in gigabytes."""
_NAMES: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}


def validate(schema: Object, obj: Any, path: str = "") -> list[FieldError]:
    """The violations, in the order of the document's schema. metadata is checked elsewhere."""
    return list(islice(_errors(schema, obj, path), ERRORS_MAX))


def _errors(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    if value is None and schema.get("nullable"):
        return
    if not _is_type(schema, value):
        found = _NAMES[type(value)]
        wanted = schema.get("type") or "integer"
        words = f'{path} in body must be of type {wanted}: "{found}"'
        yield FieldError("FieldValueTypeInvalid", path, found, words)
        return
    if isinstance(value, str):
        yield from _string_errors(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_errors(schema, value, path)
    elif isinstance(value, list):
        yield from _list_errors(schema, value, path)
    elif isinstance(value, dict):
        yield from _object_errors(schema, value, path)
    if schema.get("enum") and value not in schema["enum"]:
        yield not_supported(path, value, list(schema["enum"]))
    yield from _junctor_errors(schema, value, path)


def _is_type(schema: Object, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = schema.get("type")
    if not wanted:
        return True
    found = _NAMES[type(value)]
    if wanted == "number":
        return found in ("number", "integer")
    if wanted == "integer" and found == "number":
        return float(value).is_integer()
    return bool(found == wanted)


def _string_errors(schema: Object, value: str, path: str) -> Iterator[FieldError]:
    most, least = schema.get("maxLength"), schema.get("minLength")
    if most is not None and len(value) > most:
        yield too_long(path, value, most)
    if least is not None and len(value) < least:
        yield invalid(path, value, f"{path} in body should be at least {least} chars long")
    pattern = schema.get("pattern")
    if pattern and not _found(pattern, value):
        yield invalid(path, value, f"{path} in body should match '{pattern}'")
    wanted = schema.get("format")
    if wanted in _FORMATS and not _FORMATS[wanted](value):
        words = f"{path} in body must be of type {wanted}: {orjson.dumps(value).decode()}"
        yield FieldError("FieldValueTypeInvalid", path, value, words)


def _found(pattern: str, value: str) -> bool:
    """In linear time, as Go does; a pattern that cannot be read refuses nothing."""
    from kajitori.api.cel.errors import EvaluationError
    from kajitori.api.cel.regexes import matches

    try:
        return matches(value, pattern)
    except EvaluationError:
        return True


def _number_errors(schema: Object, value: float, path: str) -> Iterator[FieldError]:
    least, most, factor = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if most is not None and (value > most or (schema.get("exclusiveMaximum") and value == most)):
        words = "should be less than" if schema.get("exclusiveMaximum") else "should be less than or equal to"
        yield invalid(path, value, f"{path} in body {words} {_number(most)}")
    if least is not None and (value < least or (schema.get("exclusiveMinimum") and value == least)):
        words = "should be greater than" if schema.get("exclusiveMinimum") else "should be greater than or equal to"
        yield invalid(path, value, f"{path} in body {words} {_number(least)}")
    times = value / factor if factor else 0
    if factor and math.isfinite(times) and not math.isclose(times, round(times), abs_tol=1e-9):
        yield invalid(path, value, f"{path} in body should be a multiple of {_number(factor)}")


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _list_errors(schema: Object, value: list[Any], path: str) -> Iterator[FieldError]:
    most, least = schema.get("maxItems"), schema.get("minItems")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} items")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    items = schema.get("items")
    if isinstance(items, dict):
        for index, item in enumerate(value):
            yield from _errors(items, item, f"{path}[{index}]")
    yield from _duplicate_errors(schema, value, path)


def _duplicate_errors(schema: Object, value: list[Any], path: str) -> Iterator[FieldError]:
    list_type = schema.get("x-kubernetes-list-type")
    if list_type not in ("set", "map"):
        return
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: set[bytes] = set()
    for index, item in enumerate(value):
        identity = item
        if list_type == "map" and isinstance(item, dict):
            identity = {key: item[key] for key in keys if key in item}
        encoded = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
        if encoded in seen:
            yield duplicate(f"{path}[{index}]", identity)
        seen.add(encoded)


def _object_errors(schema: Object, value: Object, path: str) -> Iterator[FieldError]:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} properties")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    properties: Object = schema.get("properties") or {}
    values = schema.get("additionalProperties")
    prefix = f"{path}." if path else ""
    for key in schema.get("required") or ():
        if key not in value:
            yield required(f"{prefix}{key}")
    for key, child in properties.items():
        if key in value and (path or key != "metadata"):
            yield from _errors(child, value[key], f"{prefix}{key}")
    if isinstance(values, dict):
        for key, item in value.items():
            if key not in properties:
                yield from _errors(values, item, f"{prefix}{key}")


def _junctor_errors(schema: Object, value: Any, path: str) -> Iterator[FieldError]:
    for child in schema.get("allOf") or ():
        yield from _errors(child, value, path)
    shown = path or "<nil>"
    choices = schema.get("anyOf")
    if choices and not any(_holds(child, value, path) for child in choices):
        yield invalid(shown, value, f"{path} in body must validate at least one schema (anyOf)")
        yield from _errors(choices[0], value, path)
    alternatives = schema.get("oneOf")
    if alternatives:
        count = sum(_holds(child, value, path) for child in alternatives)
        if count != 1:
            found = f"valid {count} alternatives" if count else "none valid"
            yield invalid(shown, value, f"{path} in body must validate one and only one schema (oneOf). Found {found}")
    if isinstance(schema.get("not"), dict) and _holds(schema["not"], value, path):
        yield invalid(shown, value, f"{path} in body must not validate the schema (not)")


def _holds(schema: Object, value: Any, path: str) -> bool:
    return next(_errors(schema, value, path), None) is None


def _succeeds(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


_UUID = r"(?i:[0-9a-f]{8}-?[0-9a-f]{4}-?%s[0-9a-f]{3}-?%s[0-9a-f]{3}-?[0-9a-f]{12})"
_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _succeeds(timestamp),
    "date": _succeeds(lambda text: timestamp(f"{text}T00:00:00Z")),
    "ipv4": _succeeds(ipaddress.IPv4Address),
    "ipv6": _succeeds(ipaddress.IPv6Address),
    "cidr": _succeeds(lambda text: ipaddress.ip_interface(text) if "/" in text else int("")),
    "uri": _is_uri,
    "email": _matches(r"[^@\s]+@[^@\s]+"),
    "hostname": _matches(r"(?=.{1,255}$)[A-Za-z0-9]([-A-Za-z0-9]{0,62})(\.[A-Za-z0-9][-A-Za-z0-9]{0,62})*"),
    "mac": _matches(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"),
    "byte": _matches(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
    "duration": _matches(r"[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h|d|w) ?)+|0"),
    "uuid": _matches(_UUID % ("[0-9a-f]", "[0-9a-f]")),
    "uuid3": _matches(_UUID % ("3", "[0-9a-f]")),
    "uuid4": _matches(_UUID % ("4", "[89ab]")),
    "uuid5": _matches(_UUID % ("5", "[89ab]")),
}
