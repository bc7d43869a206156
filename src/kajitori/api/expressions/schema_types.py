"""The type of a kind's objects, from its schema: what makes `object.spec.replicas > 'x'` and `object.foo` mistakes."""

from kajitori.api.cel import types
from kajitori.api.cel.types import Declared, Field, Type, escape, list_of, map_of
from kajitori.api.resource import Resource
from kajitori.api.schema import nodes
from kajitori.api.schema.nodes import Node
from kajitori.api.schema.structural import resource_node

_SCALARS = {
    nodes.STRING: types.STRING,
    nodes.FORMATTED: types.STRING,
    nodes.BOOL: types.BOOL,
    nodes.INT32: types.INT,
    nodes.INT64: types.INT,
    nodes.FLOAT: types.DOUBLE,
    nodes.BYTES: types.BYTES,
    nodes.TIME: types.TIMESTAMP,
    nodes.MICRO_TIME: types.TIMESTAMP,
}
"""Everything else of no parts is of any type: quantities and int-or-string are several."""


def type_of_kind(resource: Resource) -> Declared:
    return _Types().of(resource_node(resource), resource.kind)


class _Types:
    """A type that occurs several times, or in itself, is one; it has the name of the place where it was met first."""

    def __init__(self) -> None:
        self._known: dict[int, Declared] = {}

    def of(self, node: Node, name: str) -> Declared:
        if node.kind == nodes.LIST and node.element is not None:
            element = self.of(node.element, f"{name}.item")
            return Declared(list_of(element.type), element=element)
        if node.kind == nodes.MAP and node.element is not None:
            element = self.of(node.element, f"{name}.value")
            return Declared(map_of(types.STRING, element.type), key=Declared(types.STRING), element=element)
        if node.kind != nodes.STRUCT:
            return Declared(_SCALARS.get(node.kind, types.DYN))
        known = self._known.get(id(node))
        if known is not None:
            return known
        made = self._known[id(node)] = Declared(Type("object", name), open=node.preserve_unknown)
        for key, field in node.fields.items():
            written = escape(key)
            if written is not None:
                made.fields[written] = Field(self.of(field.node, f"{name}.{key}"), key)
        return made
