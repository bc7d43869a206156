"""The schemas of CustomResourceDefinitions: keywords, list and map types, rules (KEP-95, KEP-1155, KEP-2876)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kajitori.api.field_errors import forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.schema.rules import RULES, has_rules
from kajitori.api.validation.checks import Errors, each, one_of
from kajitori.api.validation.structural_schemas import default_errors, structural_errors, unusable_keyword

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN_KEYWORDS = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_EVEN_EMPTY = ("additionalItems", "$ref")
_EMBEDDED = "x-kubernetes-embedded-resource"
_IDENTITY = ("metadata", "kind", "apiVersion")
_RULE_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_MAP_KEYS, _LIST_TYPE = "x-kubernetes-list-map-keys", "x-kubernetes-list-type"
_ONLY_OBJECTS = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'


def root_schema(path: str, schema: Object, judged: list[Object | None], *, status: bool) -> Errors:
    """`judged`: schemas whose rules are known to be good. `status`: whether the kind has this subresource."""
    kind = schema.get("type") or ""
    if status and kind and kind != "object":
        yield invalid(f"{path}.type", kind, _ONLY_OBJECTS)
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    unusable = unusable_keyword(schema)
    structure = [] if unusable else structural_errors(path, schema) or list(default_errors(path, schema))
    yield from structure
    unsound: set[str] = set()
    yield from _judged(path, schema, _Place(is_root=True), unsound)
    if unusable and not unsound:
        yield invalid(path, "", unusable)
    if not structure and not unusable and has_rules(schema) and schema not in judged:
        from kajitori.api.cel.definition_rules import rule_errors

        yield from rule_errors(schema, path, unsound)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a schema stands. `in_metadata`: it is about apiVersion, kind or metadata of a whole object."""

    is_root: bool = False
    in_metadata: bool = False
    no_default: str = ""
    """Why there may be no default here."""


def has_defaults(schema: Object) -> bool:
    if schema.get("default") is not None:
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(child, dict) and has_defaults(child) for child in below)


def _judged(path: str, schema: Object, place: _Place, unsound: set[str]) -> Errors:
    """`unsound` gets the paths of schemas with an error at or below them: their own rules are not looked at."""
    found = False
    for error in _schema(path, schema, place, unsound):
        found = True
        yield error
    if found:
        unsound.add(path)


def _schema(path: str, schema: Object, place: _Place, unsound: set[str]) -> Errors:
    kind = schema.get("type") or ""
    if kind and kind not in _TYPES:
        yield from one_of(f"{path}.type", kind, _TYPES)
    if place.no_default and schema.get("default") is not None:
        yield forbidden(f"{path}.default", f"must not be set {place.no_default}")
    for keyword in _FORBIDDEN_KEYWORDS:
        if schema.get(keyword) or (keyword in _EVEN_EMPTY and schema.get(keyword) is not None):
            yield forbidden(f"{path}.{keyword}", f"{keyword} is not supported")
    if kind == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    items = schema.get("items")
    if isinstance(items, list) and items:
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.in_metadata and schema.get(_EMBEDDED):
        yield forbidden(f"{path}.{_EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", detail)
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties and additional not in (None, True):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    for below, child, stands in _children(path, schema, replace(place, is_root=False), is_root=place.is_root):
        yield from _judged(below, child, stands, unsound)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    yield from _list_type(path, schema)
    for rule, at in each(schema, RULES, path):
        yield from _rule(rule, at)
        field_path = rule.get("fieldPath") or ""
        if field_path and not _leads_somewhere(field_path, schema):
            yield invalid(f"{at}.fieldPath", field_path, "must be a valid path")


def _children(path: str, schema: Object, place: _Place, *, is_root: bool) -> Iterator[tuple[str, Object, _Place]]:
    """The schemas inside of one."""
    if isinstance(values := schema.get("additionalProperties"), dict):
        why = "inside additionalProperties applying to object metadata"
        yield f"{path}.additionalProperties", values, replace(place, no_default=why) if place.in_metadata else place
    for name, child in (schema.get("properties") or {}).items():
        at = place
        if name in _IDENTITY and (is_root or schema.get(_EMBEDDED)):
            at = _Place(in_metadata=True, no_default=f"in top-level {name}" if is_root else place.no_default)
        yield f"{path}.properties[{name}]", child, at
    if isinstance(schema.get("not"), dict):
        yield f"{path}.not", schema["not"], place
    for junctor in ("allOf", "oneOf", "anyOf"):
        for child, where in each(schema, junctor, path):
            yield where, child, place
    for name, child in (schema.get("definitions") or {}).items():
        yield f"{path}.definitions[{name}]", child, place
    items = schema.get("items")
    if isinstance(items, dict):
        yield f"{path}.items", items, place
    elif isinstance(items, list):
        for index, child in enumerate(items):
            yield f"{path}.items[{index}]", child, place
    for name, child in (schema.get("dependencies") or {}).items():
        if isinstance(child, dict):
            yield f"{path}.dependencies[{name}]", child, place


def _leads_somewhere(field_path: str, schema: Object) -> bool:
    from kajitori.api.cel.field_paths import normalized

    return normalized(field_path, schema) is not None


def _breaks(text: str) -> bool:
    return "\n" in text or "\r" in text


def _rule(rule: Object, at: str) -> Errors:
    """What can be said without compiling it."""
    text, given = (rule.get("rule") or "").strip(), rule.get("message") or ""
    message, computed = given.strip(), rule.get("messageExpression") or ""
    if not text:
        yield required(f"{at}.rule", "rule is not specified")
    elif given and not message:
        yield invalid(f"{at}.message", given, "must be non-empty if specified")
    elif _breaks(message):
        yield invalid(f"{at}.message", given, "must not contain line breaks")
    elif _breaks(text) and not message:
        yield required(f"{at}.message", "message must be specified if rule contains line breaks")
    if computed and not computed.strip():
        yield required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
    if (reason := rule.get("reason")) is not None:
        yield from one_of(f"{at}.reason", reason, _RULE_REASONS)
    field_path = rule.get("fieldPath") or ""
    if field_path and not field_path.strip():
        yield invalid(f"{at}.fieldPath", field_path, "must be non-empty if specified")
    if _breaks(field_path):
        yield invalid(f"{at}.fieldPath", field_path, "must not contain line breaks")


def _list_type(path: str, schema: Object) -> Errors:
    kind, keys = schema.get(_LIST_TYPE), schema.get(_MAP_KEYS) or []
    structure, items = schema.get("x-kubernetes-map-type"), schema.get("items")
    if structure is not None:
        yield from _must_be_type(path, schema, "object", "x-kubernetes-map-type")
        yield from one_of(f"{path}.x-kubernetes-map-type", structure, ("atomic", "granular"))
    if kind is not None:
        yield from _must_be_type(path, schema, "array", _LIST_TYPE)
    if kind == "set" and isinstance(items, dict) and schema.get("type") == "array":
        yield from _set_items(f"{path}.items", items)
    if kind is not None:
        yield from one_of(f"{path}.{_LIST_TYPE}", kind, ("atomic", "set", "map"))
    if keys and kind is None:
        yield required(f"{path}.{_LIST_TYPE}", f"must be map if {_MAP_KEYS} is non-empty")
    elif keys and kind != "map":
        yield invalid(f"{path}.{_LIST_TYPE}", kind, f"must be map if {_MAP_KEYS} is non-empty")
    if kind == "map":
        yield from _map_list(path, items, keys)
    if kind in ("set", "map") and isinstance(items, dict):
        yield from _items_known_again(path, items, keys, kind)


def _set_items(path: str, items: Object) -> Errors:
    detail = f"must be atomic as item of a list with {_LIST_TYPE}=set"
    said = items.get(_LIST_TYPE)
    if items.get("type") == "array" and said not in (None, "atomic"):
        yield invalid(f"{path}.{_LIST_TYPE}", said, detail)
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        yield invalid(f"{path}.x-kubernetes-map-type", said, detail)


def _must_be_type(path: str, schema: Object, wanted: str, because: str) -> Errors:
    kind, detail = schema.get("type") or "", f"must be {wanted} if {because} is specified"
    if not kind:
        yield required(f"{path}.type", detail)
    elif kind != wanted:
        yield invalid(f"{path}.type", kind, detail)


def _map_list(path: str, items: Any, keys: list[str]) -> Errors:
    """Items of a list by key are objects, and the keys scalars in them."""
    if not keys:
        yield required(f"{path}.{_MAP_KEYS}", f"must not be empty if {_LIST_TYPE} is map")
    if items is None:
        yield required(f"{path}.items", f"must have a schema if {_LIST_TYPE} is map")
        return
    if not isinstance(items, dict):
        return
    if (kind := items.get("type") or "") != "object":
        yield invalid(f"{path}.items.type", kind, f"must be object if parent array's {_LIST_TYPE} is map")
        return
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            yield invalid(f"{path}.{_MAP_KEYS}", keys, "entries must all be names of item properties")
        elif properties[key].get("type") in ("array", "object"):
            detail = f"must be a scalar type if parent array's {_LIST_TYPE} is map"
            yield invalid(f"{path}.items.properties[{key}].type", "object", detail)
        if key in keys[:index]:
            yield invalid(f"{path}.{_MAP_KEYS}", keys, "must not contain duplicate entries")


def _items_known_again(path: str, items: Object, keys: list[str], kind: str) -> Errors:
    """Each item of a set or map is there, and has its keys, said or by default."""
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST_TYPE} is {kind}")
    properties = items.get("properties") or {}
    for key in keys if kind == "map" else ():
        if key not in properties:
            continue
        at, because = f"{path}.items.properties[{key}]", f"this property is in {_MAP_KEYS}, so it"
        if properties[key].get("default") is None and key not in (items.get("required") or ()):
            yield required(f"{at}.default", f"{because} must have a default or be a required property")
        if properties[key].get("nullable"):
            yield forbidden(f"{at}.nullable", f"{because} cannot be nullable")
