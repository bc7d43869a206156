"""What a change leaves as it was is not held against it (KEP-4008), so a stricter schema does not stop every update.

An error counts when the value at its place is new or has changed. Items of lists are known again only in lists of
list-type map, by their keys; in other lists the whole list must be as before.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from kajitori.api.field_errors import FieldError
from kajitori.api.meta import Object


def ratcheted(errors: Iterable[FieldError], schema: Object, new: Any, old: Any) -> list[FieldError]:
    """The errors that remain."""
    return [error for error in errors if not _is_old(error, schema, new, old)]


def _is_old(error: FieldError, schema: Object, new: Any, old: Any) -> bool:
    rest = error.field
    if not rest or rest == "<nil>":
        return False
    here: Object | None = schema
    while rest:
        step = _index_step(here, new, old, rest) if rest.startswith("[") else _key_step(here, new, old, rest)
        if step is None:
            break
        here, new, old, rest = step
    return old is not None and same(here, new, old)


def same(schema: Object | None, new: Any, old: Any) -> bool:
    """Whether nothing has changed: the order of a list of list-type map says nothing."""
    if new == old:
        return True
    if isinstance(new, dict) and isinstance(old, dict):
        return new.keys() == old.keys() and all(same(_of_key(schema, key), new[key], old[key]) for key in new)
    if not (isinstance(new, list) and isinstance(old, list)) or len(new) != len(old):
        return False
    items = (schema or {}).get("items")
    items = items if isinstance(items, dict) else None
    if not (keys := (schema or {}).get("x-kubernetes-list-map-keys")):
        return all(map(same, [items] * len(new), new, old))
    if not all(isinstance(item, dict) for item in (*new, *old)):
        return False
    after, before = ({_key_of(item, keys): item for item in values} for values in (new, old))
    return after.keys() == before.keys() and all(same(items, item, before[key]) for key, item in after.items())


def _key_of(item: Object, keys: Iterable[str]) -> bytes:
    return orjson.dumps([item.get(key) for key in keys])


def _of_key(schema: Object | None, key: str) -> Object | None:
    values = (schema or {}).get("additionalProperties")
    found: Object | None = ((schema or {}).get("properties") or {}).get(key)
    return found or (values if isinstance(values, dict) else None)


def _before(item: Object, old: list[Any], keys: Iterable[str]) -> Object | None:
    """The item of the same keys."""
    alike = (each for each in old if isinstance(each, dict) and all(each.get(key) == item.get(key) for key in keys))
    return next(alike, None)


_Step = tuple[Object | None, Any, Any, str]


def _key_step(schema: Object | None, new: Any, old: Any, rest: str) -> _Step | None:
    """Into the key that the path begins with; None where there is nothing, or nothing before."""
    if not isinstance(new, dict) or not isinstance(old, dict):
        return None
    for key in sorted(new, key=len, reverse=True):
        after = rest[len(key) :]
        if rest.startswith(key) and after[:1] in ("", ".", "["):
            return _of_key(schema, key), new[key], old.get(key), after.removeprefix(".")
    return None


def _index_step(schema: Object | None, new: Any, old: Any, rest: str) -> _Step | None:
    number, _, after = rest[1:].partition("]")
    keys = (schema or {}).get("x-kubernetes-list-map-keys") or ()
    if not (isinstance(new, list) and isinstance(old, list) and number.isdecimal() and keys):
        return None
    if int(number) >= len(new) or not isinstance(item := new[int(number)], dict):
        return None
    items = (schema or {}).get("items")
    return items if isinstance(items, dict) else None, item, _before(item, old, keys), after.removeprefix(".")
