"""What a change leaves as it was is not held against it (KEP-4008), so a stricter schema does not stop every update.

An error counts when the value at its place is new or has changed. Items of lists are known again only in lists of
list-type map, by their keys; in other lists the whole list must be as before.
"""

from collections.abc import Iterable
from typing import Any

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
    return bool(old is not None and new == old)


_Step = tuple[Object | None, Any, Any, str]


def _key_step(schema: Object | None, new: Any, old: Any, rest: str) -> _Step | None:
    """Into the key that the path begins with; None where there is nothing, or nothing before."""
    if not isinstance(new, dict) or not isinstance(old, dict):
        return None
    for key in sorted(new, key=len, reverse=True):
        after = rest[len(key) :]
        if rest.startswith(key) and after[:1] in ("", ".", "["):
            properties = (schema or {}).get("properties") or {}
            values = (schema or {}).get("additionalProperties")
            below = properties.get(key) or (values if isinstance(values, dict) else None)
            return below, new[key], old.get(key), after.removeprefix(".")
    return None


def _index_step(schema: Object | None, new: Any, old: Any, rest: str) -> _Step | None:
    number, _, after = rest[1:].partition("]")
    keys = (schema or {}).get("x-kubernetes-list-map-keys") or ()
    if not (isinstance(new, list) and isinstance(old, list) and number.isdecimal() and keys):
        return None
    if int(number) >= len(new) or not isinstance(item := new[int(number)], dict):
        return None
    items = (schema or {}).get("items")
    for before in old:
        if isinstance(before, dict) and all(before.get(key) == item.get(key) for key in keys):
            return items if isinstance(items, dict) else None, item, before, after.removeprefix(".")
    return items if isinstance(items, dict) else None, item, None, after.removeprefix(".")
