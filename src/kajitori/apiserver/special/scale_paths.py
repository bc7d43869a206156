"""Whether a custom resource has what its `scale` subresource shows: whole numbers, a selector that is text. Pure."""

from collections.abc import Iterator
from typing import Any

from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.go_text import TYPES, go_text
from kajitori.api.meta import Object
from kajitori.api.resource import ScalePaths

_INT32_MAX = 2**31 - 1


class Unexpected(Exception):
    """A value of another type; the message is upstream's."""


def number_at(obj: Object, path: str) -> int | None:
    found = _at(obj, path, int, "int64")
    return None if found is None else int(found)


def text_at(obj: Object, path: str) -> str:
    return str(_at(obj, path, str, "string") or "")


def _at(obj: Any, path: str, wanted: type, shown: str) -> Any:
    """None where there is nothing, or something above is null."""
    steps = path.split(".")
    value, present = obj, True
    for index, step in enumerate(steps):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise _unexpected(steps[: index + 1], value, "map[string]interface{}")
        present = step in value
        value = value.get(step)
        if not present:
            return None
    if type(value) is not wanted:
        raise _unexpected(steps, value, shown)
    return value


def _unexpected(steps: list[str], value: Any, wanted: str) -> Unexpected:
    is_of = f"{go_text(value)} is of the type {TYPES[type(value)]}, expected {wanted}"
    return Unexpected(f".{'.'.join(steps)} accessor error: {is_of}")


def scale_errors(paths: ScalePaths, obj: Object, *, status_only: bool = False) -> Iterator[FieldError]:
    for path in (paths.status_replicas,) if status_only else (paths.spec_replicas, paths.status_replicas):
        yield from _number_errors(obj, path)
    if paths.selector:
        try:
            text_at(obj, paths.selector)
        except Unexpected as error:
            yield invalid(f".{paths.selector}", "", str(error))


def _number_errors(obj: Object, path: str) -> Iterator[FieldError]:
    try:
        number = number_at(obj, path) or 0
    except Unexpected as error:
        yield invalid(f".{path}", 0, str(error))
        return
    if number < 0:
        yield invalid(f".{path}", number, "should be a non-negative integer")
    elif number > _INT32_MAX:
        yield invalid(f".{path}", number, f"should be less than or equal to {_INT32_MAX}")
