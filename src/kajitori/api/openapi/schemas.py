"""Definitions as OpenAPI documents publish them: references, nullability and special types in either dialect."""

from collections.abc import Iterable, Mapping
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.openapi.defaults import with_defaults
from kajitori.api.openapi.enums import with_enums
from kajitori.api.resource import Resource
from kajitori.api.schema.definitions import reference, type_of

V2, V3 = "#/definitions/", "#/components/schemas/"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
WATCH_EVENT = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent"
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY_TEXT = (
    "An amount of a resource: a decimal number with an optional suffix, one of Ki, Mi, Gi, Ti, Pi, Ei (powers of "
    "1024), n, u, m, k, M, G, T, P, E (powers of 1000) or a decimal exponent such as e3."
)
_INT_OR_STRING_TEXT = "A whole number, or a string whose meaning depends on the field, such as a percentage or a name."
_API_VERSION_TEXT = (
    "APIVersion defines the versioned schema of this representation of an object. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
_KIND_TEXT = (
    "Kind is a string value representing the REST resource this object represents. Cannot be updated. "
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
_KEPT = ("description", "format", "required", "enum", "default", "pattern", "minimum", "maximum", "nullable", "title")
_LIMITS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "multipleOf")
_JUNCTORS = ("allOf", "oneOf", "anyOf")


def published(name: str, schema: Object, prefix: str) -> Object:
    """One definition in the dialect that `prefix` (V2 or V3) stands for."""
    if name == _QUANTITY:
        choice: Object = {"oneOf": [{"type": "string"}, {"type": "number"}]} if prefix == V3 else {"type": "string"}
        return {"description": _QUANTITY_TEXT} | choice
    if name == _INT_OR_STRING:
        either: Object = {"oneOf": [{"type": "integer"}, {"type": "string"}]} if prefix == V3 else {"type": "string"}
        return {"description": _INT_OR_STRING_TEXT, "format": "int-or-string"} | either
    document = _schema(schema, prefix)
    for key in ("apiVersion", "kind"):
        document.get("properties", {}).get(key, {}).pop("enum", None)
    if prefix == V3:
        with_defaults(name, document)
    return with_enums(name, document)


def _schema(schema: Object, prefix: str) -> Object:
    found: Object = {key: schema[key] for key in _KEPT if key in schema}
    found |= {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
    if name := reference(schema):
        pointer = {"$ref": prefix + name}
        return {**found, "allOf": [pointer]} if prefix == V3 and found else {**found, **pointer}
    if kind := type_of(schema):
        found["type"] = kind
    if "properties" in schema:
        found["properties"] = {key: _schema(child, prefix) for key, child in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _schema(schema[key], prefix)
    return found


def reachable(names: Iterable[str], definitions: Mapping[str, Object]) -> list[str]:
    """These definitions and all that they refer to, sorted."""
    found: set[str] = set()
    waiting = [name for name in names if name in definitions]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_references(definitions[name]))
    return sorted(found)


def _references(schema: Object) -> Iterable[str]:
    if name := reference(schema):
        yield name
    for child in schema.get("properties", {}).values():
        yield from _references(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _references(schema[key])


def definition_name(resource: Resource) -> str:
    """What a custom kind's definition is called: the group's labels reversed (`com.example.v1.Widget`)."""
    if resource.definition:
        return resource.definition
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_name(resource: Resource) -> str:
    return f"{definition_name(resource)}List"


def custom_definitions(resource: Resource, prefix: str) -> dict[str, Object]:
    """A custom kind and its list. Where anything may stand, version 2 names no field: kubectl would refuse others."""
    preserves = prefix == V2 and (resource.schema or {}).get("x-kubernetes-preserve-unknown-fields")
    schema = {} if preserves else _custom(resource.schema or {}, prefix)
    if not preserves:
        properties: Object = schema.setdefault("properties", {})
        properties["apiVersion"] = {"type": "string", "description": _API_VERSION_TEXT}
        properties["kind"] = {"type": "string", "description": _KIND_TEXT}
        properties["metadata"] = _pointer(OBJECT_META, prefix, "Standard object's metadata.")
    schema["type"] = "object"
    schema["x-kubernetes-group-version-kind"] = [_gvk(resource, resource.kind)]
    items = {"description": f"List of {resource.plural}.", "type": "array", "items": _pointer_to(resource, prefix)}
    listed = {
        "description": f"{resource.kind}List is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": _API_VERSION_TEXT},
            "items": items,
            "kind": {"type": "string", "description": _KIND_TEXT},
            "metadata": _pointer(LIST_META, prefix, "Standard list metadata."),
        },
        "x-kubernetes-group-version-kind": [_gvk(resource, resource.list_kind or f"{resource.kind}List")],
    }
    return {definition_name(resource): schema, list_name(resource): listed}


def _gvk(resource: Resource, kind: str) -> Object:
    return {"group": resource.group, "version": resource.version, "kind": kind}


def _pointer(name: str, prefix: str, description: str) -> Object:
    pointer = {"$ref": prefix + name}
    return {"description": description, "allOf": [pointer]} if prefix == V3 else {"description": description, **pointer}


def _pointer_to(resource: Resource, prefix: str) -> Object:
    return {"$ref": prefix + definition_name(resource)}


def _custom(schema: Any, prefix: str) -> Object:
    """A structural schema; version 2 cannot say junctors, nullable and preserved fields, so it says less."""
    if prefix == V2 and schema.get("x-kubernetes-preserve-unknown-fields"):
        return {key: schema[key] for key in ("description", "x-kubernetes-preserve-unknown-fields") if key in schema}
    kept = (*_KEPT, *_LIMITS, "type", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum")
    found: Object = {key: schema[key] for key in kept if key in schema}
    found |= {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
    if "properties" in schema:
        found["properties"] = {key: _custom(child, prefix) for key, child in schema["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), dict) and not (key == "not" and prefix == V2):
            found[key] = _custom(schema[key], prefix)
    if prefix == V3:
        found |= {key: [_custom(child, prefix) for child in schema[key]] for key in _JUNCTORS if schema.get(key)}
    else:
        found.pop("nullable", None)
        found.pop("default", None)
        if schema.get("nullable") or schema.get("x-kubernetes-int-or-string"):
            found.pop("type", None)
    return found
