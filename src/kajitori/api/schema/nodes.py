"""A schema made ready for walking: one `Node` a type, shared by decoding, patching and server-side apply.

Built-in types are compiled from the OpenAPI definitions, custom ones from their structural schema (`structural.py`).
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.schema.definitions import definitions, go_shapes, reference, type_of

STRUCT, MAP, LIST = "struct", "map", "list"
STRING, BOOL, INT32, INT64, FLOAT = "string", "bool", "int32", "int64", "float"
BYTES, TIME, MICRO_TIME, QUANTITY, INT_OR_STRING = "bytes", "time", "micro_time", "quantity", "int_or_string"
ANY = "any"
FORMATTED = "formatted"
"""A custom resource's text with a format: to server-side apply it is any scalar, its schema judges it later."""
SCHEMA_OR_BOOL, SCHEMA_OR_ARRAY, SCHEMA_OR_STRINGS = "schema_or_bool", "schema_or_array", "schema_or_strings"

_SCALARS = {
    ("string", None): STRING,
    ("string", "byte"): BYTES,
    ("boolean", None): BOOL,
    ("integer", "int32"): INT32,
    ("integer", "int64"): INT64,
    ("integer", None): INT64,
    ("number", "double"): FLOAT,
    ("number", None): FLOAT,
}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_EXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
JSON_SCHEMA = f"{_EXTENSIONS}JSONSchemaProps"
_RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": QUANTITY,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": INT_OR_STRING,
    _RAW_EXTENSION: ANY,
    f"{_META}Time": TIME,
    f"{_META}MicroTime": MICRO_TIME,
    f"{_META}FieldsV1": ANY,
    f"{_META}Patch": ANY,
    f"{_EXTENSIONS}JSON": ANY,
    f"{_EXTENSIONS}JSONSchemaPropsOrBool": SCHEMA_OR_BOOL,
    f"{_EXTENSIONS}JSONSchemaPropsOrArray": SCHEMA_OR_ARRAY,
    f"{_EXTENSIONS}JSONSchemaPropsOrStringArray": SCHEMA_OR_STRINGS,
}
_NEVER_EMPTY = (STRUCT, ANY, SCHEMA_OR_BOOL, SCHEMA_OR_ARRAY, SCHEMA_OR_STRINGS)
"""Go tells their empty values from absent ones."""
_EMPTY_STRUCTS = frozenset({f"{_EXTENSIONS}CustomResourceSubresourceStatus"})
"""Without properties in the definitions, and in Go without fields: everything in them is unknown."""
_KEY_DEFAULTS = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}
"""Defaults of fields that are keys of a list: upstream's OpenAPI has them, the packaged definitions do not."""


def _key_defaults(name: str, schema: Object) -> dict[str, Any]:
    """A text that is always written is empty by default."""
    properties = schema.get("properties", {})
    required = {key: "" for key in schema.get("required", ()) if properties.get(key, {}).get("type") == "string"}
    return {**required, **_KEY_DEFAULTS.get(name, {})}


@dataclass(slots=True, eq=False)
class Node:
    """A type. `element` is a list's item or a map's value; `atomic` says that one manager owns it as a whole."""

    kind: str
    definition: str = ""
    fields: dict[str, "Field"] = field(default_factory=dict)
    element: "Node | None" = None
    always: tuple[tuple[str, Any], ...] = ()
    """What Go writes for an absent field: (name, value). A dict value is filled in from its own type."""
    nulls: frozenset[str] = frozenset()
    """Fields for whose absence Go writes null. We leave them out, but they count as there."""
    atomic: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    key_defaults: dict[str, Any] = field(default_factory=dict)
    preserve_unknown: bool = False

    def child(self, name: str) -> "Node | None":
        """The type of a field or of a map's value; None when it is unknown."""
        known = self.fields.get(name)
        return known.node if known else self.element


@dataclass(slots=True, eq=False)
class Field:
    """A field of a struct. `omit_empty`: its empty value is not written. `strategies` are strategic merge patch's."""

    node: Node
    omit_empty: bool = False
    strategies: tuple[str, ...] = ()
    merge_key: str = ""


class _Compiler:
    def __init__(self) -> None:
        self._known: dict[str, Node] = {}

    def definition(self, name: str) -> Node:
        node = self._known.get(name)
        if node is None:
            kind = _SPECIAL.get(name, STRUCT)
            schema = definitions()[name] if kind == STRUCT else {}
            # Known before it is filled: types refer to themselves.
            node = self._known[name] = Node(kind, definition=name, atomic=name == _RAW_EXTENSION)
            if node.kind == STRUCT:
                self._fill(node, name, schema)
            elif node.kind.startswith("schema_or"):
                node.element = self.definition(JSON_SCHEMA)
        return node

    def _fill(self, node: Node, name: str, schema: Object) -> None:
        shape = go_shapes().get(name, {})
        kept = {*shape.get("keep", ()), *shape.get("always", ())}
        node.atomic = schema.get("x-kubernetes-map-type") == "atomic"
        node.key_defaults = _key_defaults(name, schema)
        if "properties" not in schema:
            node.kind = STRUCT if name in _EMPTY_STRUCTS else ANY
            return
        for key, child in schema["properties"].items():
            compiled = self.schema(child)
            strategies = tuple(s for s in child.get("x-kubernetes-patch-strategy", "").split(",") if s)
            node.fields[key] = Field(
                compiled,
                omit_empty=key not in kept and compiled.kind not in _NEVER_EMPTY,
                strategies=strategies,
                merge_key=child.get("x-kubernetes-patch-merge-key", ""),
            )
        always = shape.get("always", {})
        node.always = tuple((key, value) for key, value in always.items() if value is not None)
        node.nulls = frozenset(key for key, value in always.items() if value is None)

    def schema(self, schema: Object) -> Node:
        if name := reference(schema):
            node = self.definition(name)
            wanted = schema.get("x-kubernetes-map-type")
            return replace(node, atomic=wanted == "atomic") if wanted else node
        kind = type_of(schema)
        if kind == "array":
            element = self.schema(schema.get("items", {}))
            list_type = schema.get("x-kubernetes-list-type", "atomic")
            keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
            return Node(LIST, element=element, list_type=list_type, list_keys=keys, atomic=list_type == "atomic")
        if kind == "object":
            values = schema.get("additionalProperties")
            if not isinstance(values, dict):
                return Node(ANY)
            atomic = schema.get("x-kubernetes-map-type") == "atomic"
            return Node(MAP, element=self.schema(values), atomic=atomic)
        return Node(_SCALARS.get((kind, schema.get("format")), _SCALARS.get((kind, None), ANY)))


@lru_cache(maxsize=1)
def _compiler() -> _Compiler:
    return _Compiler()


def node_of(definition: str) -> Node:
    """The compiled type of a built-in definition; raises KeyError for a name that does not exist."""
    return _compiler().definition(definition)
