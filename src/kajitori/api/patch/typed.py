"""Walking documents by their schema: which fields they set, how two differ, merging, taking fields away.

The rules are structured-merge-diff's. A map or list that the schema calls atomic is one leaf, and so is an empty one.
Items of a list by key and of a set are told apart by `k:` and `v:` elements. What the schema does not know is merged
when it is a map and replaced when it is a list.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kajitori.api.meta import Object
from kajitori.api.patch.field_sets import FieldSet, Path, key_of, value_of
from kajitori.api.patch.field_sets import field as field_element
from kajitori.api.schema.nodes import ANY, LIST, MAP, STRUCT, Node


class _Missing:
    """Nothing there; different from a null."""


MISSING: Final = _Missing()
_DEDUCED = Node(ANY)


class InvalidList(ValueError):
    """A list by key with an item that is no object or has none of the keys, or a set of what is no scalar."""


def _is_map(node: Node, value: Any) -> bool:
    return isinstance(value, dict) and node.kind in (STRUCT, MAP, ANY)


def _is_list(node: Node, value: Any) -> bool:
    return isinstance(value, list) and node.kind in (LIST, ANY)


def _atomic_list(node: Node) -> bool:
    return node.kind != LIST or node.list_type not in ("map", "set")


def child_of(node: Node, name: str) -> Node:
    """The type of a field or of a map's value."""
    return node.child(name) or _DEDUCED


def _element(node: Node) -> Node:
    return node.element or _DEDUCED


def element_of(node: Node, item: Any, path: Path = ()) -> str:
    """How an item of a list by key or of a set is named."""
    if node.list_type == "set":
        if isinstance(item, dict):
            raise InvalidList("associative list without keys has an element that's a map type")
        if isinstance(item, list):
            raise InvalidList("not supported: associative list with lists as elements")
        if item is None:
            raise InvalidList("associative list without keys has an element that's an explicit null")
        return value_of(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise InvalidList(f"associative list with keys may not have {what}")
    keys: Object = {}
    defaults = _element(node).key_defaults
    for name in node.list_keys:
        if name in item:
            keys[name] = item[name]
        elif name in defaults:
            keys[name] = defaults[name]
    if not keys:
        listed = " ".join(f'"{name}"' for name in node.list_keys)
        raise InvalidList(
            f"associative list with keys has an element that omits all key fields [{listed}] "
            "(and doesn't have default values for any key fields)"
        )
    return key_of(keys)


def _items(node: Node, values: Any) -> dict[str, Any]:
    """Items by element, in order; of repeated ones the first."""
    found: dict[str, Any] = {}
    for item in values if isinstance(values, list) else ():
        found.setdefault(element_of(node, item), item)
    return found


def field_set(node: Node, obj: Object) -> FieldSet:
    """The fields that a document sets: its leaves, its list items, and map entries that are no declared fields."""
    found: set[Path] = set()
    _collect(node, obj, (), found)
    return frozenset(found)


def _collect(node: Node, value: Any, path: Path, found: set[Path]) -> None:
    if _is_map(node, value) and not node.atomic:
        for name, child in value.items():
            below = (*path, field_element(name))
            if child is None or child == {} or name not in node.fields:
                found.add(below)
            if child is not None:
                _collect(child_of(node, name), child, below, found)
    elif _is_list(node, value) and not _atomic_list(node):
        for item in value:
            below = (*path, element_of(node, item))
            found.add(below)
            _collect(_element(node), item, below, found)
    elif path:
        found.add(path)


@dataclass(slots=True)
class Comparison:
    """Paths that the second of two documents has more, other or fewer."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def compare(node: Node, old: Any, new: Any) -> Comparison:
    found = Comparison()
    _compare(node, old, new, (), found)
    return found


def _compare(node: Node, old: Any, new: Any, path: Path, found: Comparison) -> None:
    if old is not MISSING and new is not MISSING and old == new and type(old) is type(new):
        return
    one = new if old is MISSING or old is None else old
    both_empty = not _has_items(old) and not _has_items(new)
    if _is_map(node, one) and not node.atomic and not both_empty:
        for name, before, after in _pairs(node, old, new):
            _compare(child_of(node, name), before, after, (*path, field_element(name)), found)
    elif _is_list(node, one) and not _atomic_list(node) and not both_empty:
        before_items, after_items = _items(node, old), _items(node, new)
        for name in before_items | after_items:
            before, after = before_items.get(name, MISSING), after_items.get(name, MISSING)
            _compare(_element(node), before, after, (*path, name), found)
    elif old is not MISSING and new is not MISSING:
        found.modified.add(path)
    if path and old is MISSING:
        found.added.add(path)
    elif path and new is MISSING:
        found.removed.add(path)


def _has_items(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _pairs(node: Node, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Children of two maps. A field that Go always writes is null, not missing, where the map exists."""
    before: Object = old if isinstance(old, dict) else {}
    after: Object = new if isinstance(new, dict) else {}
    for name in before | after:
        absent = None if name in node.nulls else MISSING
        yield (
            name,
            before.get(name, absent if isinstance(old, dict) else MISSING),
            after.get(name, absent if isinstance(new, dict) else MISSING),
        )


def changed_fields(node: Node, old: Any, new: Any) -> Object | None:
    """What `compare` finds added or modified, as the fieldsV1 trie and in one walk; None when there is nothing.

    A create does this for the whole object, so it is made without paths and sets.
    """
    if old is MISSING:
        return _all_fields(node, new)
    if old == new and type(old) is type(new):
        return None
    found: Object = {}
    filled = _has_items(old) or _has_items(new)
    one = new if old is None else old
    if filled and _is_map(node, one) and not node.atomic:
        for name, before, after in _pairs(node, old, new):
            if after is not MISSING and (below := changed_fields(child_of(node, name), before, after)) is not None:
                found[field_element(name)] = below
    elif filled and _is_list(node, one) and not _atomic_list(node):
        before_items = _items(node, old)
        for name, item in _items(node, new).items():
            below = changed_fields(_element(node), before_items.get(name, MISSING), item)
            if below is not None:
                found[name] = below
    else:
        return {}
    return dict(sorted(found.items())) if found else None


def _all_fields(node: Node, new: Any) -> Object:
    """The trie of something that was not there before."""
    if not new or not isinstance(new, dict | list):
        return {}
    found: Object
    if isinstance(new, dict):
        if node.atomic or node.kind not in (STRUCT, MAP, ANY):
            return {}
        known, other = node.fields, node.element or _DEDUCED
        found = {
            f"f:{name}": _all_fields(known[name].node if name in known else other, value) for name, value in new.items()
        }
    else:
        if node.kind != LIST or _atomic_list(node):
            return {}
        element = _element(node)
        found = {name: _all_fields(element, item) for name, item in _items(node, new).items()}
    found["."] = {}
    return dict(sorted(found.items()))


def merge(node: Node, live: Any, config: Any) -> Any:
    """The live document with what the configuration says laid over it. Shares parts with both."""
    if live is MISSING or config is MISSING:
        return live if config is MISSING else config
    if config is None and _has_items(live) and _separable(node):
        return live  # a null says nothing of what is inside
    if _is_map(node, config) and isinstance(live, dict) and not node.atomic and (live or config):
        merged = dict(live)
        for name, value in config.items():
            merged[name] = merge(child_of(node, name), live.get(name, MISSING), value)
        return merged
    if _is_list(node, config) and isinstance(live, list) and not _atomic_list(node) and (live or config):
        return _merge_lists(node, live, config)
    return config


def _separable(node: Node) -> bool:
    """Whether values of this type are merged part by part."""
    return not _atomic_list(node) if node.kind == LIST else node.kind in (STRUCT, MAP) and not node.atomic


def _merge_lists(node: Node, live: list[Any], config: list[Any]) -> list[Any]:
    """Shared items in the order of the configuration; the others stay near where they were on their side."""
    ours, theirs = _items(node, live), _items(node, config)
    left, right = list(ours), list(theirs)
    shared = deque(name for name in right if name in ours)
    element = _element(node)
    result: list[Any] = []
    done: set[str] = set()
    at_left = at_right = 0
    while at_left < len(left) or at_right < len(right):
        if at_left < len(left):
            name = left[at_left]
            if name not in theirs:
                result.append(ours[name])
                at_left += 1
                continue
            if name in done or (at_right < len(right) and name != right[at_right] and shared and name != shared[0]):
                at_left += 1
                continue
        if at_right < len(right):
            name = right[at_right]
            done.add(name)
            result.append(merge(element, ours.get(name, MISSING), theirs[name]))
            at_right += 1
            if shared and shared[0] == name:
                shared.popleft()
    return result


def remove(node: Node, obj: Any, paths: FieldSet) -> Any:
    """The document without these fields and items; what loses its last child becomes null."""
    trie: Object = {}
    for path in paths:
        at = trie
        for element in path:
            at = at.setdefault(element, {})
        at["."] = True
    return _remove(node, obj, trie)


def _remove(node: Node, value: Any, trie: Object) -> Any:
    if _is_map(node, value):
        if node.atomic:
            return None
        left: Any = {}
        for name, child in value.items():
            below = trie.get(field_element(name))
            if below is None:
                left[name] = child
            elif "." not in below:
                left[name] = _remove(child_of(node, name), child, below)
        return left or None
    if _is_list(node, value):
        if _atomic_list(node):
            return None
        kept = []
        for item in value:
            below = trie.get(element_of(node, item))
            if below is None:
                kept.append(item)
            elif "." not in below:
                kept.append(_remove(_element(node), item, below))
        return kept or None
    return value


def with_named_fields(node: Node, paths: FieldSet) -> FieldSet:
    """The set, and every declared field on the way to a member."""
    found = set(paths)
    for path in paths:
        at: Node | None = node
        for depth, element in enumerate(path):
            name = element[2:] if element.startswith("f:") else None
            if at is None:
                break
            if name is not None:
                if name in at.fields:
                    found.add(path[: depth + 1])
                at = at.child(name)
            else:
                at = at.element
    return frozenset(found)
