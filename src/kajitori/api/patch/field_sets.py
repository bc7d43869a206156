"""Sets of field paths, as `metadata.managedFields[].fieldsV1` writes them (structured-merge-diff's fieldpath).

A path is a tuple of elements in their written form: `f:<field or map key>`, and for items of lists by key and of sets
`k:<key fields as JSON>` and `v:<value as JSON>`. The root, the empty path, is never a member.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from kajitori.api.meta import Object

Path = tuple[str, ...]
FieldSet = frozenset[Path]
EMPTY: FieldSet = frozenset()


def from_fields_v1(document: Object) -> FieldSet:
    """Members are the paths whose object is empty or has a `.`."""
    found: set[Path] = set()
    _collect(document, (), found)
    return frozenset(found)


def _collect(node: Object, path: Path, found: set[Path]) -> None:
    if path and (not node or "." in node):
        found.add(path)
    for element, child in node.items():
        if element != ".":
            _collect(child, (*path, element), found)


def holds(document: Object, path: Path) -> bool:
    """Whether a path is a member of a set in its written form."""
    node: Any = document
    for element in path:
        node = node.get(element)
        if node is None:
            return False
    return not node or "." in node


def to_fields_v1(paths: Iterable[Path]) -> Object:
    """The trie, in sorted order."""
    root: Object = {}
    members = list(paths)
    for path in members:
        node = root
        for element in path:
            node = node.setdefault(element, {})
    for path in members:
        node = root
        for element in path:
            node = node[element]
        if node:
            node["."] = {}
    return _sorted(root)


def _sorted(node: Object) -> Object:
    return {element: _sorted(node[element]) for element in sorted(node)}


def field(name: str) -> str:
    return f"f:{name}"


def key_of(keys: Object) -> str:
    return f"k:{_text_of({name: _number(value) for name, value in keys.items()})}"


def value_of(item: Any) -> str:
    return f"v:{_text_of(_number(item))}"


def _number(value: Any) -> Any:
    """1.0 is 1: an item has one name, however its number was written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text_of(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def shown(path: Path) -> str:
    """As a conflict names it: `.spec.containers[name="a"].image`."""
    return "".join(_shown_element(element) for element in path)


def in_set_order(path: Path) -> tuple[Any, ...]:
    """A sort key: members of a level come before what is below them, as a set of upstream's is walked."""
    return (*((1, _element_order(element)) for element in path[:-1]), (0, _element_order(path[-1])))


def _element_order(element: str) -> tuple[Any, ...]:
    kind, _, text = element.partition(":")
    if kind == "k":
        keys = orjson.loads(text)
        return 1, tuple((name, isinstance(keys[name], str), keys[name]) for name in sorted(keys))
    return ("f", "k", "v", "i").index(kind), text


def _shown_element(element: str) -> str:
    kind, _, text = element.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "v":
        return f"[={text}]"
    if kind == "k":
        keys = orjson.loads(text)
        return f"[{','.join(f'{name}={_shown_value(keys[name])}' for name in sorted(keys))}]"
    return f"[{text}]"


def _shown_value(value: Any) -> str:
    """Of a key that is no scalar, as wrong objects have it, only what is inside is shown."""
    if isinstance(value, dict):
        return "".join(f"{name}={_shown_value(each)}" for name, each in value.items())
    if isinstance(value, list):
        return f"[{','.join(map(_shown_value, value))}]"
    return _text_of(value)


def without_below(paths: FieldSet, prefixes: Iterable[Path]) -> FieldSet:
    """The set without these paths and everything below them."""
    gone = tuple(prefixes)
    if not gone:
        return paths
    return frozenset(path for path in paths if not any(path[: len(prefix)] == prefix for prefix in gone))
