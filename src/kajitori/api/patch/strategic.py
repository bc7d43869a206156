"""Strategic merge patch: a merge patch that knows from the schema which lists are merged, and by which key.

Directives: `$patch: replace|delete|merge`, `$retainKeys`, `$setElementOrder/<list>`, `$deleteFromPrimitiveList/<list>`.
It is what the client-side apply of kubectl sends.
"""

from collections.abc import Callable
from typing import Any

import orjson

from kajitori.api.errors import BadRequest, StatusError
from kajitori.api.meta import Object
from kajitori.api.patch.element_order import by_key, in_order, itself, places
from kajitori.api.patch.refusals import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    broken,
    go_map,
    not_applicable,
    unsupported_media_type,
)
from kajitori.api.resource import Resource
from kajitori.api.schema.nodes import Node, node_of

_DIRECTIVE, _RETAIN_KEYS = "$patch", "$retainKeys"
_ELEMENT_ORDER, _DELETE_PRIMITIVES = "$setElementOrder/", "$deleteFromPrimitiveList/"
_LISTS = (_ELEMENT_ORDER, _DELETE_PRIMITIVES)
_NO_MERGE_KEY = "cannot merge lists without merge key for struct"
_BAD_RETAIN_KEYS = "invalid patch format of retainKeys"
_BAD_PRIMITIVE_LIST = "invalid patch format of primitive list"
_BAD_ELEMENT_ORDER = "invalid patch format of setElementOrder list"


def apply(obj: Object, patch: Any, resource: Resource) -> Object:
    """Raises UnsupportedMediaType for a custom resource, BadRequest or StatusError for a patch that makes no sense."""
    if resource.schema is not None or not resource.definition:
        raise unsupported_media_type(JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    return apply_definition(obj, patch, resource.definition)


def apply_definition(obj: Object, patch: Any, definition: str) -> Object:
    """The same for an object of a definition that is no resource of its own, such as a Scale."""
    if not isinstance(patch, dict):
        raise BadRequest("invalid JSON document")
    original, wanted = orjson.loads(orjson.dumps((obj, patch)))
    return _merge_map(original, wanted, node_of(definition))


def _merge_map(original: Object, patch: Object, node: Node | None) -> Object:
    if _DIRECTIVE in patch:
        return _directed(patch)
    _retain_keys(original, patch)
    _ordered_lists(original, patch, node)
    for key, value in patch.items():
        if key.startswith(_DELETE_PRIMITIVES):
            name = key.removeprefix(_DELETE_PRIMITIVES)
            if name in original and isinstance(value, list):
                original[name] = _without(original[name], value, _merge_key(name, node)[1])
            continue
        if value is None:
            original.pop(key, None)
        elif key not in original or type(original[key]) is not type(value):
            if not _is_directive(value):
                original[key] = _plain(value)
        elif isinstance(value, dict) and _replaces(key, node):
            original[key] = value
        elif isinstance(value, dict):
            original[key] = _merge_map(original[key], value, node.child(key) if node else None)
        elif isinstance(value, list):
            original[key] = _merge_list(original[key], value, key, node)
        else:
            original[key] = value
    return original


def _without(original: Any, removed: list[Any], merge_key: str) -> list[Any]:
    if not isinstance(original, list):
        raise BadRequest(_BAD_PRIMITIVE_LIST)
    if (original or removed) and _element_type(original, removed) is dict and not merge_key:
        raise broken(_NO_MERGE_KEY)
    gone = {itself(item) for item in removed}
    return [item for item in original if itself(item) not in gone]


def _directed(patch: Object) -> Object:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise _unknown_directive(patch)


def _is_directive(value: Any) -> bool:
    return isinstance(value, dict) and _DIRECTIVE in value


def _unknown_directive(patch: Object) -> StatusError:
    return broken(f"unknown patch type: {patch[_DIRECTIVE]} in map: {go_map(patch)}")


def _retain_keys(original: Object, patch: Object) -> None:
    if _RETAIN_KEYS not in patch:
        return
    retained = patch.pop(_RETAIN_KEYS)
    if not isinstance(retained, list):
        raise BadRequest(_BAD_RETAIN_KEYS)
    kept = {key for key in retained if isinstance(key, str)}
    for key, value in patch.items():
        if value is not None and not key.startswith(_LISTS) and key not in kept:
            raise BadRequest(_BAD_RETAIN_KEYS)
    for key in [key for key in original if key not in kept]:
        del original[key]


def _merge_key(key: str, node: Node | None) -> tuple[bool, str]:
    """Whether the list at `key` is merged, and by which field of its items ("" for scalars)."""
    field = node.fields.get(key) if node else None
    return (field is not None and "merge" in field.strategies, field.merge_key if field else "")


def _replaces(key: str, node: Node | None) -> bool:
    """Whether a field is replaced as a whole: a disruption budget's selector."""
    field = node.fields.get(key) if node else None
    return field is not None and "replace" in field.strategies


def _element(key: str, node: Node | None) -> Node | None:
    child = node.child(key) if node else None
    return child.element if child else None


def _merge_list(original: list[Any], patch: list[Any], key: str, node: Node | None) -> list[Any]:
    merges, merge_key = _merge_key(key, node)
    if not merges:
        return patch
    if not original and not patch:
        return original
    if _element_type(original, patch) is not dict:
        merged = list(dict.fromkeys([*original, *patch]))
        return in_order(merged, wanted=patch, present=original, identity=itself)
    if not merge_key:
        raise broken(_NO_MERGE_KEY)
    merged, plain, present = _merge_items(original, patch, merge_key, _element(key, node))
    return in_order(merged, wanted=plain, present=present, identity=by_key(merge_key))


def _element_type(*lists: list[Any]) -> type:
    """The one type of all elements, of which there is one at least."""
    first, *others = (type(item) for items in lists for item in items)
    if first is list:
        raise not_applicable()
    if first is type(None) or any(other is not first for other in others):
        raise broken(f"list element types are not identical: {go_map(list(lists))}")
    return first


def _merge_items(
    original: list[Any], patch: list[Any], merge_key: str, element: Node | None
) -> tuple[list[Any], list[Any], list[Any]]:
    """The merged list, the items of the patch that were not directives, and the list that they met."""
    plain: list[Object] = []
    identity: Callable[[Any], Any] = by_key(merge_key)
    deleted = set()
    replace = False
    for item in patch:
        directive = item.get(_DIRECTIVE) if isinstance(item, dict) else None
        if directive is None:
            plain.append(item)
        elif directive == "delete":
            deleted.add(_key_value(item, merge_key))
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise broken("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(item)
    if replace:
        return plain, [], plain
    original = [found for found in original if identity(found) not in deleted]
    merged, known = list(original), places(original, identity)
    for item in plain:
        wanted = _key_value(item, merge_key)
        index = known.get(wanted)
        if index is None:
            known[wanted] = len(merged)
            merged.append(item)
        else:
            merged[index] = _merge_map(merged[index], item, element)
    return merged, plain, original


def _key_value(item: Any, merge_key: str) -> Any:
    if not isinstance(item, dict) or merge_key not in item:
        raise broken(f"map: {go_map(item)} does not contain declared merge key: {merge_key}")
    return itself(item[merge_key])


def _ordered_lists(original: Object, patch: Object, node: Node | None) -> None:
    """Merge each list that has a `$setElementOrder`, put it in that order, and take both out of the patch."""
    for directive in [key for key in patch if key.startswith(_ELEMENT_ORDER)]:
        order = patch.pop(directive)
        key = directive.removeprefix(_ELEMENT_ORDER)
        if order is None or patch.get(key, order) is None:
            raise broken("expected a []interface {}, but received a %!s(<nil>)")
        if not isinstance(order, list):
            raise BadRequest(_BAD_ELEMENT_ORDER)
        present, change = original.get(key), patch.get(key)
        if not isinstance(present, list | None):
            raise BadRequest(_BAD_ELEMENT_ORDER)
        if (key in patch and change is None) or (present is None and change is None):
            continue
        if node is not None and node.fields and key not in node.fields:
            struct = node.definition.rpartition(".")[2]
            raise broken(f'unable to find api field in struct {struct} for the json field "{key}"')
        _, merge_key = _merge_key(key, node)
        identity = by_key(merge_key) if merge_key else itself
        if change is not None:
            _check_order(change, order, identity)
            patch.pop(key)
        before = list(present or ())
        if present is None:
            merged = _plain(change)
        elif change is None:
            merged = present
        else:
            merged = _merge_list(present, change, key, node)
        original[key] = in_order(merged, wanted=order, present=before, identity=identity)


def _check_order(change: Any, order: list[Any], identity: Callable[[Any], Any]) -> None:
    """The items of the patch must follow the order that the patch itself demands."""
    if not isinstance(change, list):
        raise BadRequest(_BAD_PRIMITIVE_LIST)
    wanted = [identity(item) for item in order]
    position = 0
    for item in change:
        if _is_directive(item):
            continue
        value = identity(item)
        while position < len(wanted) and wanted[position] != value:
            position += 1
        if position == len(wanted):
            listed, given = go_map(order), go_map(change)
            raise broken(
                f"The order in patch list:\n{given}\n doesn't match {_ELEMENT_ORDER.rstrip('/')} list:\n{listed}\n"
            )
        position += 1


def _plain(value: Any) -> Any:
    """A value that nothing is merged with: its nulls and what is marked by `$patch` are left out."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None and not _is_directive(item)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not _is_directive(item)]
    return value
