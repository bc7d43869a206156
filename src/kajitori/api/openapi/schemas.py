"""Definitions as OpenAPI documents publish them: references, nullability and special types in either dialect."""

from collections.abc import Iterable, Mapping

from kajitori.api.meta import Object
from kajitori.api.openapi import resource_metrics
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
_KEPT = ("description", "format", "required", "enum", "default", "pattern", "minimum", "maximum", "nullable", "title")


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
    if resource.group == resource_metrics.GROUP and resource.schema is None:
        return resource_metrics.definition_name_of(resource.version, resource.kind)
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def list_name(resource: Resource) -> str:
    """As the kind's, by the name that a custom kind's list has."""
    name = definition_name(resource)
    if resource.schema is None:
        return f"{name}List"
    return f"{name.rpartition('.')[0]}.{resource.list_kind or f'{resource.kind}List'}"
