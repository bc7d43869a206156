"""In which order a merged list ends up: the patch's items in the patch's order, the others near where they were."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import orjson

Identity = Callable[[Any], Hashable]


def itself(item: Any) -> Hashable:
    return orjson.dumps(item, option=orjson.OPT_SORT_KEYS) if isinstance(item, dict | list) else item


def by_key(merge_key: str) -> Identity:
    return lambda item: itself(item.get(merge_key)) if isinstance(item, dict) else itself(item)


def places(items: Iterable[Any], identity: Identity) -> dict[Hashable, int]:
    """Where each is met first."""
    found: dict[Hashable, int] = {}
    for place, item in enumerate(items):
        found.setdefault(identity(item), place)
    return found


def in_order(merged: list[Any], *, wanted: list[Any], present: list[Any], identity: Identity) -> list[Any]:
    """`wanted` is the order the patch asks for, `present` the list before the patch.

    Two runs are merged, each in its own order: items the patch names, and items only the server has. When the server
    knew both heads, the one that it had first comes first; otherwise the patch's goes ahead.
    """
    ordered, before, unknown = places(wanted, identity), places(present, identity), len(present)
    known = [(identity(item), item) for item in merged]
    named = deque(sorted((k for k in known if k[0] in ordered), key=lambda k: ordered[k[0]]))
    others = deque(sorted((k for k in known if k[0] not in ordered), key=lambda k: before.get(k[0], unknown)))
    result: list[Any] = []
    while named and others:
        mine, theirs = before.get(named[0][0], unknown), before.get(others[0][0], unknown)
        first = others if theirs < mine < unknown else named
        result.append(first.popleft()[1])
    return [*result, *(item for _, item in named), *(item for _, item in others)]
