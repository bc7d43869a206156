"""In which order a merged list ends up: the patch's items in the patch's order, the others near where they were."""

from collections.abc import Callable
from typing import Any

Identity = Callable[[Any], Any]


def by_key(merge_key: str) -> Identity:
    return lambda item: item.get(merge_key) if isinstance(item, dict) else item


def in_order(merged: list[Any], *, wanted: list[Any], present: list[Any], identity: Identity) -> list[Any]:
    """`wanted` is the order the patch asks for, `present` the list before the patch.

    Two runs are merged, each in its own order: items the patch names, and items only the server has. When the server
    knew both heads, the one that it had first comes first; otherwise the patch's goes ahead.
    """
    ordered = [identity(item) for item in wanted]
    before = [identity(item) for item in present]
    named = sorted((m for m in merged if identity(m) in ordered), key=lambda item: ordered.index(identity(item)))
    others = sorted((m for m in merged if identity(m) not in ordered), key=lambda item: _index(before, identity(item)))
    result: list[Any] = []
    while named and others:
        mine, theirs = _index(before, identity(named[0])), _index(before, identity(others[0]))
        known = mine < len(before) and theirs < len(before)
        result.append((others if known and theirs < mine else named).pop(0))
    return [*result, *named, *others]


def _index(values: list[Any], value: Any) -> int:
    return values.index(value) if value in values else len(values)
