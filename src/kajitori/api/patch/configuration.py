"""What server-side apply accepts as a configuration: of this kind, without managed fields, of the schema's types.

The messages are those of structured-merge-diff and of upstream's converter; a wrong configuration is answered with 500
and no reason, as upstream does.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from kajitori.api.errors import BadRequest, StatusError
from kajitori.api.meta import Object
from kajitori.api.patch.field_sets import shown
from kajitori.api.patch.refusals import go_map
from kajitori.api.patch.typed import InvalidList, element_of
from kajitori.api.resource import Resource
from kajitori.api.schema.nodes import (
    ANY,
    BOOL,
    BYTES,
    FLOAT,
    FORMATTED,
    INT32,
    INT64,
    LIST,
    MAP,
    MICRO_TIME,
    QUANTITY,
    STRING,
    STRUCT,
    TIME,
    Node,
)
from kajitori.api.schema.structural import resource_node

_GO_TYPES = {str: "string", bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}
_JSON_TYPES = {str: "string", bool: "bool", list: "array", dict: "map"}


def check_configuration(resource: Resource, document: Any) -> Object:
    """The document of an apply patch as a configuration. Raises BadRequest, StatusError."""
    if document is None:
        document = {}
    if not isinstance(document, dict):
        literal = {**_JSON_TYPES, type(None): "null"}.get(type(document), "number")
        why = f"json: cannot unmarshal {literal} into Go value of type map[string]interface {{}}"
        raise BadRequest(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    kind, api_version = (text if isinstance(text := document.get(key), str) else "" for key in ("kind", "apiVersion"))
    if (kind, api_version) != (resource.kind, resource.api_version):
        if api_version.count("/") > 1:  # no version at all, and so no kind either
            kind = api_version = ""
        raise BadRequest(f"invalid object type: {_group_version(api_version)}, Kind={kind}")
    metadata = document.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("managedFields"), list):
        raise BadRequest("metadata.managedFields must be nil")
    problems = undeclared(resource_node(resource), document)
    if problems:
        raise StatusError(f"failed to create typed patch object ({_what(resource, document)}): {_listed(problems)}")
    return document


def _listed(problems: list[str]) -> str:
    return problems[0] if len(problems) == 1 else "\n  ".join(("errors:", *problems))


_REPEATED = "duplicate entries for key"


def untyped(resource: Resource, obj: Object) -> list[str]:
    """What of a custom object is not of its schema's types. Such an object is written without managed fields, and
    nothing can be applied to it. Lists may have repeated items. Built-in objects are of their types always."""
    if resource.schema is None:
        return []
    return [problem for problem in undeclared(resource_node(resource), obj) if _REPEATED not in problem]


def check_live(resource: Resource, live: Object) -> None:
    """Raises StatusError for an object that nothing can be applied to."""
    if problems := untyped(resource, live):
        raise StatusError(f"failed to create typed live object ({_what(resource, live)}): {_listed(problems)}")


def not_convertible(resource: Resource, config: Object, why: str) -> StatusError:
    """A value that passes as its JSON type, but not as the field's own."""
    target = _kind(resource)
    return StatusError(
        f"failed to convert new object ({_what(resource, config)}) to proper version: unable to convert unstructured "
        f"object to {target}: {why}"
    )


def _what(resource: Resource, config: Object) -> str:
    metadata = config.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    namespace, name = (text if isinstance(text := named.get(key), str) else "" for key in ("namespace", "name"))
    return f"{namespace}/{name}; {_kind(resource)}"


def _kind(resource: Resource) -> str:
    return f"{_group_version(resource.api_version)}, Kind={resource.kind}"


def _group_version(api_version: str) -> str:
    return api_version if "/" in api_version else f"/{api_version}"


def undeclared(node: Node, config: Object) -> list[str]:
    """What of a configuration is not of its schema's types, or not in it, and list items that cannot be told apart."""
    return list(_undeclared(node, config, ""))


def _undeclared(node: Node, value: Any, path: str) -> Iterator[str]:
    if value is None:
        return
    if node.kind in (STRUCT, MAP) or (node.kind == ANY and isinstance(value, dict)):
        yield from _bad_fields(node, value, path)
    elif node.kind == LIST:
        if not isinstance(value, list):
            yield f"{path}: expected list, got &{{{go_map(value)}}}"
        elif node.element is not None:
            yield from _bad_items(node, node.element, value, path)
    elif node.kind in (STRING, BYTES):
        if not isinstance(value, str):
            yield f"{path}: expected string, got &value.valueUnstructured{{Value:{go_literal(value)}}}"
    elif node.kind == BOOL:
        if not isinstance(value, bool):
            yield f"{path}: expected boolean, got &{{{go_map(value)}}}"
    elif _is_scalar(node) and isinstance(value, dict | list):
        yield f"{path}: expected any scalar, got &{{{go_map(value)}}}"
    elif node.kind in (INT32, INT64, FLOAT) and (isinstance(value, bool) or not isinstance(value, int | float)):
        yield f"{path}: expected numeric (int or float), got {_GO_TYPES[type(value)]}"


def _is_scalar(node: Node) -> bool:
    """Of any type. Of what is an int or a string, upstream does not say that it is a scalar."""
    return node.kind in (TIME, MICRO_TIME, QUANTITY, FORMATTED)


def _bad_fields(node: Node, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: expected map, got &{{{go_map(value)}}}"
        return
    for name, child in value.items():
        known = node.child(name)
        if known is not None:
            yield from _undeclared(known, child, f"{path}.{name}")
        elif node.kind == STRUCT and not node.preserve_unknown:
            yield f"{path}.{name}: field not declared in schema"
            return


def _bad_items(node: Node, element: Node, values: list[Any], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, item in enumerate(values):
        at = f"{path}[{index}]"
        if node.list_type in ("map", "set"):
            try:
                name = element_of(node, item)
            except InvalidList as error:
                yield f"{path}: element {index}: {error}"
                return
            at = path + shown((name,))
            if name in seen:
                yield f"{path}: {_REPEATED} {shown((name,))}"
            seen.add(name)
        yield from _undeclared(element, item, at)


def go_literal(value: Any) -> str:
    """A document as Go's `%#v` prints it: `map[string]interface {}{"k":"v"}`."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{go_literal(key)}:{go_literal(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{pairs}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(go_literal, value))}}}"
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, str) else str(value)
