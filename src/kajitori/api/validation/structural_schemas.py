"""What makes a schema structural (KEP-95): every value has a type outside of allOf, anyOf, oneOf and not; and defaults
that keep to it (KEP-575)."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from kajitori.api.field_errors import FieldError, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.schema.embedded import embedded_errors
from kajitori.api.schema.rules import has_rules
from kajitori.api.schema.structural import prune_value
from kajitori.api.schema.structural_validation import validate
from kajitori.api.validation.checks import Errors, each

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_EMBEDDED, _FREE, _EITHER = (
    "x-kubernetes-embedded-resource",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
)
_IDENTITY = ("apiVersion", "kind", "metadata")
_ROOT, _ITEM, _FIELD = "", "array items", "object fields"
"""Where a schema stands, for the message about a missing type."""
_IMPLICIT = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_NOT_NESTED = {
    "type": "must be empty",
    "additionalProperties": "must be undefined",
    "default": "must be undefined",
    "title": "must be empty",
    "description": "must be empty",
    "nullable": "must be false",
    _FREE: "must be false",
    _EMBEDDED: "must be false",
    _EITHER: "must be false",
    "x-kubernetes-list-map-keys": "must be empty",
    "x-kubernetes-list-type": "must be undefined",
    "x-kubernetes-map-type": "must be undefined",
    "x-kubernetes-validations": "must be empty",
}


def unusable_keyword(schema: Object) -> str:
    """What a schema has, at any depth, that no structural schema can: then nothing is said about its structure."""
    for keyword in _UNUSABLE:
        if schema.get(keyword):
            return (
                f"OpenAPIV3Schema '{keyword.removeprefix('$') if keyword == '$schema' else keyword}' is not supported"
            )
    items = schema.get("items")
    if isinstance(items, list) and items:
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    if schema.get(_FREE) is False:
        return f"internal error: '{_FREE}' must be true or undefined"
    children = [
        *(schema.get("properties") or {}).values(),
        items,
        schema.get("additionalProperties"),
        schema.get("not"),
    ]
    for junctor in ("allOf", "anyOf", "oneOf"):
        children += schema.get(junctor) or ()
    return next(filter(None, (unusable_keyword(child) for child in children if isinstance(child, dict))), "")


_UNUSABLE = ("id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions")


def structural_errors(path: str, schema: Object) -> list[FieldError]:
    """In the order of their texts, as upstream sorts them."""
    return sorted([*_invariants(path, schema, _ROOT), *_completeness(path, schema, path, schema)], key=str)


def _invariants(path: str, schema: Object, where: str) -> Errors:
    kind = schema.get("type") or ""
    items, values = schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and not isinstance(items, dict):
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, dict):
        yield from _invariants(f"{path}.items", items, _ITEM)
    for name, child in (schema.get("properties") or {}).items():
        yield from _invariants(f"{path}.properties[{name}]", child, _FIELD)
    if values is not None and where == _ROOT:
        yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if isinstance(values, dict):
        yield from _invariants(f"{path}.additionalProperties", values, _FIELD)
    if schema.get(_EITHER):
        for other in (_FREE, _EMBEDDED):
            if schema.get(other):
                yield invalid(f"{path}.{other}", True, f"must be false if {_EITHER} is true")
    yield from _junctors(path, schema, nested=False, either=True)
    yield from _type(path, schema, where)
    if schema.get(_EMBEDDED):
        if values is not None:
            yield forbidden(f"{path}.additionalProperties", f"must not be used if {_EMBEDDED} is set")
        if not schema.get(_FREE) and not schema.get("properties"):
            detail = f"must not be empty if {_EMBEDDED} is true without {_FREE}"
            yield required(f"{path}.properties", detail)


def _type(path: str, schema: Object, where: str) -> Errors:
    kind, embedded = schema.get("type") or "", schema.get(_EMBEDDED)
    at = f"{path}.type"
    if embedded and kind != "object":
        detail = f"must be object if {_EMBEDDED} is true"
        yield invalid(at, kind, detail) if kind else required(at, detail)
    elif not kind and not schema.get(_EITHER) and not schema.get(_FREE):
        yield required(at, f"must not be empty for specified {where}" if where else "must not be empty at the root")
    if where == _ROOT and kind and kind != "object":
        yield invalid(at, kind, "must be object at the root")
    properties = schema.get("properties") or {}
    for name, wanted in (("kind", "string"), ("apiVersion", "string"), ("metadata", "object")):
        found = (properties.get(name) or {}).get("type") or ""
        if name in properties and (where == _ROOT or embedded) and found != wanted:
            yield invalid(f"{path}.properties[{name}].type", found, f"must be {wanted}")
    if where == _ROOT and _says_more_than_names(properties.get("metadata") or {}):
        yield forbidden(f"{path}.properties[metadata]", _IMPLICIT)


def _says_more_than_names(metadata: Object) -> bool:
    named = set(metadata.get("properties") or ()) <= {"name", "generateName"}
    ignored = {"type", "default", "properties"} if named else {"type", "default"}
    return any(value for keyword, value in metadata.items() if keyword not in ignored)


def _junctors(path: str, schema: Object, *, nested: bool, either: bool) -> Errors:
    """`either`: here may be said by anyOf that a value is an integer or a string."""
    if not either or schema.get("anyOf") != _INT_OR_STRING:
        for child, at in each(schema, "anyOf", path):
            yield from _nested(at, child)
    for index, (child, at) in enumerate(each(schema, "allOf", path)):
        yield from _nested(at, child, either=index == 0 and not nested)
    for child, at in each(schema, "oneOf", path):
        yield from _nested(at, child)
    if isinstance(schema.get("not"), dict):
        yield from _nested(f"{path}.not", schema["not"])


def _nested(path: str, schema: Object, *, either: bool = False) -> Errors:
    """What stands inside a junctor says something about values, not what they are."""
    yield from _junctors(path, schema, nested=True, either=either)
    if isinstance(schema.get("items"), dict):
        yield from _nested(f"{path}.items", schema["items"])
    properties = schema.get("properties") or {}
    for name, child in properties.items():
        yield from _nested(f"{path}.properties[{name}]", child)
    for keyword, rule in _NOT_NESTED.items():
        if schema.get(keyword) or (keyword == "default" and schema.get(keyword) is not None):
            yield forbidden(f"{path}.{keyword}", f"{rule} to be structural")
    if "metadata" in properties:
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _completeness(path: str, structure: Object | None, said_at: str, said: Object) -> Errors:
    """What a junctor speaks of is there outside of it."""
    for junctor in ("allOf", "anyOf", "oneOf"):
        for child, at in each(said, junctor, said_at):
            yield from _spoken_of(path, structure, at, child)
    if isinstance(said.get("not"), dict):
        yield from _spoken_of(path, structure, f"{said_at}.not", said["not"])


def _spoken_of(path: str, structure: Object | None, said_at: str, said: Object) -> Errors:
    if structure is None:
        yield required(path, f"because it is defined in {said_at}")
        return
    yield from _completeness(path, structure, said_at, said)
    if isinstance(said.get("items"), dict):
        items = structure.get("items")
        known = items if isinstance(items, dict) else None
        yield from _spoken_of(f"{path}.items", known, f"{said_at}.items", said["items"])
    properties = structure.get("properties") or {}
    for name, child in (said.get("properties") or {}).items():
        below = f"properties[{name}]"
        yield from _spoken_of(f"{path}.{below}", properties.get(name), f"{said_at}.{below}", child)


def default_errors(path: str, schema: Object) -> Iterator[FieldError]:
    """Of defaults that their own schema would refuse, rules included, as it would refuse new values. Not looked for
    where they are forbidden: under additionalProperties."""
    return _default_errors(path, {**schema, _EMBEDDED: True}, in_metadata=False)


def _default_errors(path: str, schema: Object, *, in_metadata: bool) -> Iterator[FieldError]:
    """`in_metadata`: the schema is about apiVersion, kind or metadata of a whole object."""
    embedded = bool(schema.get(_EMBEDDED))
    default = schema.get("default")
    if default is not None:
        at = f"{path}.default"
        if embedded or not in_metadata:
            pruned = deepcopy(default)
            if prune_value(schema, pruned):
                yield invalid(at, default, "must not have unknown fields")
        yield from _value_errors(at, schema, default)
    if isinstance(schema.get("items"), dict):
        yield from _default_errors(f"{path}.items", schema["items"], in_metadata=in_metadata and not embedded)
    for name, child in (schema.get("properties") or {}).items():
        inside = name in _IDENTITY if embedded else in_metadata
        yield from _default_errors(f"{path}.properties[{name}]", child, in_metadata=inside)


def _value_errors(at: str, schema: Object, default: Any) -> Iterator[FieldError]:
    errors = embedded_errors(schema, default, at) or [
        replace(error, field=_below(at, error.field)) for error in validate(schema, default, lists=False)
    ]
    if not errors and has_rules(schema):
        from kajitori.api.cel.rules import default_rule_errors

        errors = [replace(error, field=_joined(at, error.field)) for error in default_rule_errors(schema, default)]
    yield from errors


def _joined(path: str, field: str) -> str:
    if field == "<nil>":
        return path
    return f"{path}{field}" if field.startswith("[") else f"{path}.{field}"


def _below(path: str, field: str) -> str:
    if field in ("", "<nil>"):
        return path
    return f"{path}.{field.removeprefix('.')}"
