"""Definitions of custom kinds, from the structural schemas of their CustomResourceDefinitions.

Version 3 says all that the schema says. Version 2 has neither junctors nor null, and kubectl, which reads it, takes a
field that is not named for a wrong one: so it says less wherever more would be wrong.
"""

from typing import Any

from kajitori.api.meta import Object
from kajitori.api.openapi.schemas import LIST_META, OBJECT_META, V2, V3, definition_name, list_name
from kajitori.api.resource import Resource

_API_VERSION_TEXT = (
    "APIVersion defines the versioned schema of this representation of an object. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND_TEXT = (
    "Kind is a string value representing the REST resource this object represents. Cannot be updated. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_KEPT = (
    "default",
    "description",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "nullable",
    "pattern",
    "required",
    "title",
    "type",
    "uniqueItems",
)
SAID_IN_VERSION_2 = tuple(key for key in _KEPT if key not in ("default", "nullable"))
_SAID_EMPTY = ("default", "enum", "example", *(key for key in _KEPT if key.startswith(("max", "min", "multiple"))))
_JUNCTORS = ("allOf", "anyOf", "oneOf")
_ANYTHING, _EMBEDDED, _EITHER = (
    f"x-kubernetes-{name}" for name in ("preserve-unknown-fields", "embedded-resource", "int-or-string")
)
_INTEGER_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def custom_definitions(resource: Resource, prefix: str) -> dict[str, Object]:
    """A custom kind and its list. Where anything may stand, version 2 names no field: kubectl would refuse others."""
    preserves = prefix == V2 and (resource.schema or {}).get(_ANYTHING)
    schema: Object = {} if preserves else _custom(resource.schema or {}, prefix)
    if not preserves:
        schema.setdefault("properties", {}).update(_head(prefix))
    schema["type"] = "object"
    schema["x-kubernetes-group-version-kind"] = [_gvk(resource, resource.kind)]
    pointer = {"$ref": prefix + definition_name(resource)}
    items = {"description": f"List of {resource.plural}.", "type": "array", "items": pointer}
    list_kind = list_name(resource).rpartition(".")[2]
    listed = {
        "description": f"{list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_head(prefix),
            "items": items,
            "metadata": _pointer(LIST_META, prefix, "Standard list metadata."),
        },
        "x-kubernetes-group-version-kind": [_gvk(resource, list_kind)],
    }
    if resource.stored_field_names:
        fields = [{"fieldPath": field} for field in resource.stored_field_names]
        schema["x-kubernetes-selectable-fields"] = listed["x-kubernetes-selectable-fields"] = fields
    return {definition_name(resource): schema, list_name(resource): listed}


def _head(prefix: str) -> Object:
    return {
        "apiVersion": {"type": "string", "description": _API_VERSION_TEXT},
        "kind": {"type": "string", "description": _KIND_TEXT},
        "metadata": _pointer(OBJECT_META, prefix, "Standard object's metadata."),
    }


def _gvk(resource: Resource, kind: str) -> Object:
    return {"group": resource.group, "version": resource.version, "kind": kind}


def _pointer(name: str, prefix: str, description: str) -> Object:
    pointer = {"$ref": prefix + name}
    return {"description": description, "allOf": [pointer]} if prefix == V3 else {"description": description, **pointer}


def _custom(schema: Any, prefix: str) -> Object:
    if prefix == V2:
        schema = _said_in_version_2(schema)
    found: Object = {key: schema[key] for key in _KEPT if (key in _SAID_EMPTY and key in schema) or schema.get(key)}
    found |= {key: value for key, value in schema.items() if key.startswith("x-kubernetes-") and value}
    if schema.get("properties"):
        found["properties"] = {key: _custom(child, prefix) for key, child in schema["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict):
            found[key] = _custom(schema[key], prefix)
    if schema.get("additionalProperties") is True:
        found["additionalProperties"] = True
    found |= {key: [_custom(child, prefix) for child in schema[key]] for key in _JUNCTORS if schema.get(key)}
    if prefix == V3 and schema.get(_EITHER):
        _say_either(found)
    if schema.get(_EMBEDDED) and not (prefix == V2 and schema.get(_ANYTHING)):
        found.setdefault("properties", {}).update(_head(prefix))
        found["required"] = list(dict.fromkeys([*found.get("required", ()), "kind", "apiVersion"]))
    return found


def _say_either(schema: Object) -> None:
    """What x-kubernetes-int-or-string means, where the schema does not say it itself."""
    every = schema.get("allOf", [])
    if schema.get("anyOf") == _INTEGER_OR_STRING or (every and every[0].get("anyOf") == _INTEGER_OR_STRING):
        return
    if "anyOf" in schema:
        schema["allOf"] = [{"anyOf": _INTEGER_OR_STRING}, *every]
    else:
        schema["anyOf"] = _INTEGER_OR_STRING


def _said_in_version_2(schema: Object) -> Object:
    """The schema without what version 2 cannot say; of what may be null or anything, not even its fields."""
    unsaid = (*_JUNCTORS, "not", *(key for key in _KEPT if key not in SAID_IN_VERSION_2))
    found = {key: value for key, value in schema.items() if key not in unsaid}
    if schema.get("nullable"):
        found.pop("type", None)
    if schema.get("nullable") or schema.get(_ANYTHING):
        found.pop("items", None)
        found.pop("properties", None)
    kind = found.get("type")
    if (kind == "array" and not found.get("items")) or (kind == "object" and found.get(_ANYTHING)):
        found.pop("type")
    more = found.get("additionalProperties")
    if isinstance(more, dict) and more.get("nullable"):
        found.pop("required", None)
    elif "required" in found:
        fields = found.get("properties", {})
        found["required"] = [name for name in found["required"] if not fields.get(name, {}).get("nullable")]
    return found
