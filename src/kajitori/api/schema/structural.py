"""Structural schemas of custom resources: what is pruned, what is filled in, and the same as a `Node` for patches.

A structural schema is the `openAPIV3Schema` of one version of a CustomResourceDefinition. Of its extensions these count
here: preserve-unknown-fields, embedded-resource, int-or-string, list-type, list-map-keys, map-type.
"""

from collections import OrderedDict
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.schema import nodes
from kajitori.api.schema.decode_errors import Place, path_of
from kajitori.api.schema.nodes import ANY, LIST, MAP, STRUCT, Field, Node, node_of

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
_SCALARS = {"boolean": nodes.BOOL, "integer": nodes.INT64, "number": nodes.FLOAT}
_TEXTS = {"byte": nodes.BYTES, "date-time": nodes.TIME}


def prune(schema: Object, obj: Object, inside: list[Object] | None = None) -> list[str]:
    """Remove what the schema does not specify, in place; paths of what went. metadata is not looked at. `inside` gets
    the whole objects (embedded resources) in it."""
    unknown: list[str] = []
    _prune_object(schema, obj, None, unknown, [] if inside is None else inside, resource=True)
    return unknown


def prune_value(schema: Object, value: Any) -> list[str]:
    """The same for any value of a schema."""
    unknown: list[str] = []
    _prune(schema, value, (None, "", ""), unknown, [])
    return unknown


def _prune(schema: Object | None, value: Any, at: Place, unknown: list[str], inside: list[Object]) -> None:
    if schema is None:
        return
    if isinstance(value, dict):
        embedded = schema.get(EMBEDDED, False)
        if embedded:
            inside.append(value)
        _prune_object(schema, value, at, unknown, inside, resource=embedded)
    elif isinstance(value, list):
        items = schema.get("items")
        if not isinstance(items, dict):
            items = None if schema.get(_PRESERVE) else {}
        for index, item in enumerate(value):
            _prune(items, item, (at, index, ""), unknown, inside)


def _prune_object(
    schema: Object, obj: Object, at: Place | None, unknown: list[str], inside: list[Object], *, resource: bool
) -> None:
    properties: Object = schema.get("properties") or {}
    values = schema.get("additionalProperties")
    for key in list(obj):
        if resource and key in ("apiVersion", "kind", "metadata"):
            continue
        place = (at, key, "")
        if key in properties:
            _prune(properties[key], obj[key], place, unknown, inside)
        elif values is not None:
            # `true` admits any key, yet says nothing of what objects in there have: upstream empties those.
            _prune(values if isinstance(values, dict) else {}, obj[key], place, unknown, inside)
        elif not schema.get(_PRESERVE):
            unknown.append(path_of(place))
            del obj[key]


def drop_nulls(schema: Object, obj: Any) -> None:
    """A null where null is not allowed counts as absent in what is decoded; in place. (What has a default gets it.)"""
    if isinstance(obj, dict):
        properties: Object = schema.get("properties") or {}
        values = schema.get("additionalProperties")
        for key in list(obj):
            child = properties.get(key, values)
            if not isinstance(child, dict):
                continue
            if obj[key] is None and not child.get("nullable") and "default" not in child:
                del obj[key]
            else:
                drop_nulls(child, obj[key])
    elif isinstance(obj, list) and isinstance(schema.get("items"), dict):
        for item in obj:
            drop_nulls(schema["items"], item)


def default(schema: Object, obj: Any) -> None:
    """Fill in defaults, in place, also where a null stands that is not allowed."""
    if isinstance(obj, dict):
        properties: Object = schema.get("properties") or {}
        for key, child in properties.items():
            if "default" in child and obj.get(key) is None and not (key in obj and child.get("nullable")):
                obj.pop(key, None)
                obj[key] = orjson.loads(orjson.dumps(child["default"]))
            if key in obj:
                default(child, obj[key])
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            for key in [key for key in obj if key not in properties]:
                if "default" in values and obj[key] is None and not values.get("nullable"):
                    obj[key] = orjson.loads(orjson.dumps(values["default"]))
                default(values, obj[key])
    elif isinstance(obj, list) and isinstance(schema.get("items"), dict):
        items = schema["items"]
        for index, item in enumerate(obj):
            if item is None and not items.get("nullable") and "default" in items:
                obj[index] = orjson.loads(orjson.dumps(items["default"]))
            default(items, obj[index])


def has_default(schema: Object) -> bool:
    """Whether `default` can add anything."""
    children = [*(schema.get("properties") or {}).values(), schema.get("additionalProperties"), schema.get("items")]
    return "default" in schema or any(has_default(child) for child in children if isinstance(child, dict))


def compile_schema(schema: Object) -> Node:
    """The whole resource as a Node: what server-side apply and managed fields walk."""
    node = _compile(schema)
    if node.kind != STRUCT:
        node = Node(STRUCT, preserve_unknown=True)
    node.fields |= _of_objects()
    return node


def _compile(schema: Object, keeps: bool = False) -> Node:
    """`keeps`: a schema above preserves unknown fields, which counts for all below when types are checked."""
    keeps = keeps or bool(schema.get(_PRESERVE))
    kind = schema.get("type", "")
    if kind == "array":
        items = schema.get("items")
        list_type = schema.get("x-kubernetes-list-type", "atomic")
        element = _compile(items, keeps) if isinstance(items, dict) else Node(ANY)
        keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
        return Node(LIST, element=element, list_type=list_type, list_keys=keys, atomic=list_type == "atomic")
    if kind == "object":
        return _compile_object(schema, keeps)
    if kind == "string":
        form = schema.get("format")
        return Node(_TEXTS.get(form, nodes.FORMATTED) if form else nodes.STRING)
    return Node(_SCALARS[kind]) if kind in _SCALARS else Node(ANY, fields=_fields(schema, keeps))


def _compile_object(schema: Object, keeps: bool) -> Node:
    atomic = schema.get("x-kubernetes-map-type") == "atomic"
    values = schema.get("additionalProperties")
    element = _compile(values, keeps) if isinstance(values, dict) else None
    fields = _fields(schema, keeps)
    if schema.get(EMBEDDED):
        fields |= _of_objects()
    if not fields:
        return Node(MAP, element=element or Node(ANY), atomic=atomic)
    properties: Object = schema.get("properties") or {}
    defaults = {key: child["default"] for key, child in properties.items() if "default" in child}
    preserve = values is True or (values is None and keeps)
    return Node(STRUCT, fields=fields, element=element, atomic=atomic, key_defaults=defaults, preserve_unknown=preserve)


def _fields(schema: Object, keeps: bool) -> dict[str, Field]:
    return {key: Field(_compile(child, keeps)) for key, child in (schema.get("properties") or {}).items()}


def _of_objects() -> dict[str, Field]:
    """What every object has, whole ones inside of others too."""
    return {
        "apiVersion": Field(Node(nodes.STRING)),
        "kind": Field(Node(nodes.STRING)),
        "metadata": Field(node_of(OBJECT_META)),
    }


_COMPILED_MAX = 512
_compiled: OrderedDict[int, tuple[Object, Node]] = OrderedDict()


def resource_node(resource: Resource) -> Node:
    """The Node of a kind, built-in or custom. The newest custom schemas stay compiled."""
    schema = resource.schema
    if schema is None:
        return node_of(resource.definition)
    known = _compiled.get(id(schema))
    if known is None:
        known = _compiled[id(schema)] = (schema, compile_schema(schema))
        if len(_compiled) > _COMPILED_MAX:
            _compiled.popitem(last=False)
    return known[1]


def forget(schema: Object) -> None:
    """Of a definition that is served no more."""
    _compiled.pop(id(schema), None)
