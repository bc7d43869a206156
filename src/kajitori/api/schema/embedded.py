"""Whole objects inside of custom resources (x-kubernetes-embedded-resource): what they are must be said, and their
metadata must be some (KEP-95)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from kajitori.api.field_errors import FieldError, invalid, required
from kajitori.api.meta import Object
from kajitori.api.schema.conform import conform_definition
from kajitori.api.schema.decode_errors import Undecodable
from kajitori.api.schema.structural import EMBEDDED, OBJECT_META
from kajitori.api.validation.formats import dns_1035_errors
from kajitori.api.validation.object_meta import embedded_metadata_errors

Visit = Callable[[Object, str], Iterator[FieldError]]


def has_embedded(schema: Object) -> bool:
    """Whether there can be such objects."""
    if schema.get(EMBEDDED):
        return True
    children = [*(schema.get("properties") or {}).values(), schema.get("additionalProperties"), schema.get("items")]
    return any(has_embedded(child) for child in children if isinstance(child, dict))


def coerce(schema: Object, obj: Object) -> list[str]:
    """Make metadata of objects inside what it would have been decoded to, in place; the paths of unknown fields.
    Raises ValueError for the first that cannot be decoded. Not of the object itself, whose metadata is decoded already.
    """
    unknown: list[str] = []
    for error in _walk(schema, obj, "", partial(_coerced, unknown)):
        raise ValueError(error)
    return sorted(unknown)


def embedded_errors(schema: Object, value: Any, path: str = "") -> list[FieldError]:
    """Expects what `coerce` has seen, or a default, of which this also says what that would refuse."""
    for error in _walk(schema, value, path, partial(_coerced, [])):
        return [error]
    return list(_walk(schema, value, path, _judged))


def _walk(schema: Object | None, value: Any, path: str, visit: Visit) -> Iterator[FieldError]:
    if not isinstance(schema, dict):
        return
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            yield from visit(value, path)
        properties, values = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, each in value.items():
            if key in properties:
                yield from _walk(properties[key], each, _child(path, key), visit)
            elif isinstance(values, dict):
                yield from _walk(values, each, f"{path}[{key}]", visit)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from _walk(schema["items"], item, f"{path}[{index}]", visit)


def _child(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _coerced(unknown: list[str], obj: Object, path: str) -> Iterator[FieldError]:
    for key in ("apiVersion", "kind"):
        if key in obj and not isinstance(obj[key], str):
            yield invalid(_child(path, key), obj[key], "must be a string")
    if "metadata" not in obj:
        return
    metadata, at = obj["metadata"], _child(path, "metadata")
    if metadata is None:
        obj["metadata"] = {}
    elif not isinstance(metadata, dict):
        literal = {str: "string", bool: "bool", list: "array"}.get(type(metadata), "number")
        yield invalid(at, metadata, f"json: cannot unmarshal {literal} into Go value of type v1.ObjectMeta")
    else:
        sent = dict(metadata)
        try:
            unknown += [f"{at}.{name}" for name in conform_definition(OBJECT_META, metadata)]
        except Undecodable as error:
            yield invalid(at, sent, error.why)


def _judged(obj: Object, path: str) -> Iterator[FieldError]:
    for key in ("apiVersion", "kind"):
        at = _child(path, key)
        if key not in obj:
            yield required(at)
        elif not obj[key]:
            yield invalid(at, "", "must not be empty")
    if (version := obj.get("apiVersion") or "").count("/") > 1:
        yield invalid(_child(path, "apiVersion"), version, f"unexpected GroupVersion string: {version}")
    kind = obj.get("kind") or ""
    if kind and (problems := dns_1035_errors(kind.lower())):
        yield invalid(
            _child(path, "kind"), kind, f"may have mixed case, but should otherwise match: {','.join(problems)}"
        )
    if isinstance(obj.get("metadata"), dict):
        yield from embedded_metadata_errors(obj["metadata"], _child(path, "metadata"))
