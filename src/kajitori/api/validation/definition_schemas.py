"""The schemas of CustomResourceDefinitions: keywords, list and map types, rules (KEP-95, KEP-1155, KEP-2876)."""

from kajitori.api.field_errors import forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.schema.rules import RULES, has_rules
from kajitori.api.validation.checks import Errors, each, one_of
from kajitori.api.validation.structural_schemas import default_errors, structural_errors

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN_KEYWORDS = ("definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties", "$ref")
_RULE_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_MAP_KEYS = "x-kubernetes-list-map-keys"
_ONLY_OBJECTS = 'only "object" is allowed as the type at the root of the schema if the status subresource is enabled'


def root_schema(path: str, schema: Object, judged: list[Object | None], *, status: bool) -> Errors:
    """`judged`: schemas whose rules are known to be good. `status`: whether the kind has this subresource."""
    kind = schema.get("type") or ""
    if status and kind and kind != "object":
        yield invalid(f"{path}.type", kind, _ONLY_OBJECTS)
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    structure = structural_errors(path, schema) or list(default_errors(path, schema))
    yield from structure
    errors = list(_schema(path, schema))
    yield from errors
    if not structure and not errors and has_rules(schema) and schema not in judged:
        from kajitori.api.cel.definition_rules import rule_errors

        yield from rule_errors(schema, path)


def has_defaults(schema: Object) -> bool:
    if schema.get("default") is not None:
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return any(isinstance(child, dict) and has_defaults(child) for child in below)


def _schema(path: str, schema: Object) -> Errors:
    kind = schema.get("type") or ""
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, "must be true or undefined")
    if kind and kind not in _TYPES:
        yield from one_of(f"{path}.type", kind, _TYPES)
    for keyword in _FORBIDDEN_KEYWORDS:
        if schema.get(keyword):
            yield forbidden(f"{path}.{keyword}", f"{keyword} is not supported")
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", detail)
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if properties and additional not in (None, True):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    for name, child in (properties or {}).items():
        yield from _schema(f"{path}.properties[{name}]", child)
    if isinstance(additional, dict):
        yield from _schema(f"{path}.additionalProperties", additional)
    if isinstance(schema.get("not"), dict):
        yield from _schema(f"{path}.not", schema["not"])
    for junctor in ("allOf", "oneOf", "anyOf"):
        for child, at in each(schema, junctor, path):
            yield from _schema(at, child)
    items = schema.get("items")
    if isinstance(items, dict):
        yield from _schema(f"{path}.items", items)
    elif isinstance(items, list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    yield from _list_type(path, schema)
    for rule, at in each(schema, RULES, path):
        yield from _rule(rule, at)
        field_path = rule.get("fieldPath") or ""
        if field_path and not _leads_somewhere(field_path, schema):
            yield invalid(f"{at}.fieldPath", field_path, "must be a valid path")


def _leads_somewhere(field_path: str, schema: Object) -> bool:
    from kajitori.api.cel.field_paths import normalized

    return normalized(field_path, schema) is not None


def _rule(rule: Object, at: str) -> Errors:
    """What can be said without compiling it."""
    text, given = (rule.get("rule") or "").strip(), rule.get("message") or ""
    message, computed = given.strip(), rule.get("messageExpression") or ""
    if not text:
        yield required(f"{at}.rule", "rule is not specified")
    elif given and not message:
        yield invalid(f"{at}.message", given, "must be non-empty if specified")
    elif "\n" in message:
        yield invalid(f"{at}.message", given, "must not contain line breaks")
    elif "\n" in text and not message:
        yield required(f"{at}.message", "message must be specified if rule contains line breaks")
    if computed and not computed.strip():
        yield required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
    if (reason := rule.get("reason")) is not None:
        yield from one_of(f"{at}.reason", reason, _RULE_REASONS)
    field_path = rule.get("fieldPath") or ""
    if field_path and not field_path.strip():
        yield invalid(f"{at}.fieldPath", field_path, "must be non-empty if specified")
    if "\n" in field_path:
        yield invalid(f"{at}.fieldPath", field_path, "must not contain line breaks")


def _list_type(path: str, schema: Object) -> Errors:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    if kind is not None:
        yield from _must_be_type(path, schema, "array", "x-kubernetes-list-type")
        yield from one_of(f"{path}.x-kubernetes-list-type", kind, ("atomic", "set", "map"))
    if kind == "map" and not keys:
        detail = "must not be empty if x-kubernetes-list-type is map"
        yield required(f"{path}.x-kubernetes-list-map-keys", detail)
    if keys and kind != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        if kind is None:
            yield required(f"{path}.x-kubernetes-list-type", detail)
        else:
            yield invalid(f"{path}.x-kubernetes-list-type", kind, detail)
    items = schema.get("items")
    if kind == "map" and isinstance(items, dict):
        yield from _map_items(path, items, keys)
    structure = schema.get("x-kubernetes-map-type")
    if structure is not None:
        yield from _must_be_type(path, schema, "object", "x-kubernetes-map-type")
        yield from one_of(f"{path}.x-kubernetes-map-type", structure, ("atomic", "granular"))


def _must_be_type(path: str, schema: Object, wanted: str, because: str) -> Errors:
    kind, detail = schema.get("type") or "", f"must be {wanted} if {because} is specified"
    if not kind:
        yield required(f"{path}.type", detail)
    elif kind != wanted:
        yield invalid(f"{path}.type", kind, detail)


def _map_items(path: str, items: Object, keys: list[str]) -> Errors:
    """Items of a list by key are objects, and each has its keys, said or by default."""
    if (kind := items.get("type") or "") != "object":
        yield invalid(f"{path}.items.type", kind, "must be object if parent array's x-kubernetes-list-type is map")
    properties = items.get("properties") or {}
    if not set(keys) <= set(properties):
        yield invalid(f"{path}.{_MAP_KEYS}", keys, "entries must all be names of item properties")
    for key in keys:
        absent = properties.get(key, {}).get("default") is None and key not in (items.get("required") or ())
        if key in properties and absent:
            detail = f"this property is in {_MAP_KEYS}, so it must have a default or be a required property"
            yield required(f"{path}.items.properties[{key}].default", detail)
