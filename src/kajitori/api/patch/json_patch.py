"""JSON patch (RFC 6902): a list of operations, all of which happen or none.

Where upstream's library is laxer than the RFC this is too: replacing a missing member adds it, copying a missing one
copies null, a missing one equals null in a test, and negative indices count from the end.
"""

from collections.abc import Callable
from typing import Any

import orjson

from kajitori.api.errors import BadRequest, Invalid, RequestEntityTooLarge
from kajitori.api.meta import Object
from kajitori.api.patch.refusals import not_applicable

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""What the copies of one patch may add, as upstream limits it: thirty of them can double a document thirty times."""


class _Inapplicable(Exception):
    """An operation that cannot be carried out. Users are told no more than that, as upstream has it."""


class TestFailed(_Inapplicable, Invalid):
    """A `test` that does not hold; to most, an operation that fails."""

    __test__ = False

    def __init__(self) -> None:
        refusal = not_applicable()
        Invalid.__init__(self, refusal.message, refusal.details)


def apply(obj: Object, operations: Any) -> Object:
    """Raises BadRequest for what is no list of operations, Invalid (TestFailed) for an operation that fails."""
    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else type(operations).__name__
        raise BadRequest(f"json: cannot unmarshal {kind} into Go value of type jsonpatch.Patch")
    if not all(isinstance(operation, dict) for operation in operations):
        raise BadRequest("json: cannot unmarshal the patch: every operation is an object with op and path")
    if len(operations) > OPERATIONS_MAX:
        raise RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        )
    document: Object = orjson.loads(orjson.dumps(obj))
    copied_bytes = 0
    try:
        for operation in operations:
            if operation.get("op") == "copy":
                copied_bytes = _copy(document, operation, copied_bytes)
            else:
                _OPERATIONS.get(str(operation.get("op")), _unknown)(document, operation)
    except TestFailed:
        raise
    except _Inapplicable:
        raise not_applicable() from None
    return document


def _parent(document: Object, pointer: Any) -> tuple[Any, str]:
    """The map or list that holds the place, and the last part of the pointer."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise _Inapplicable
    *parts, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    holder: Any = document
    for part in parts:
        holder = _get(holder, part)
        if not isinstance(holder, dict | list):
            raise _Inapplicable
    return holder, last


def _index(text: str, length: int) -> int:
    """A place in a list of `length` places."""
    try:
        index = int(text)
    except ValueError:
        raise _Inapplicable from None
    if not -length <= index < length:
        raise _Inapplicable
    return index + length if index < 0 else index


def _get(holder: Any, key: str) -> Any:
    return holder.get(key) if isinstance(holder, dict) else holder[_index(key, len(holder))]


def _put(holder: Any, key: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[key] = value
    elif key == "-":
        holder.append(value)
    else:
        holder.insert(_index(key, len(holder) + 1), value)


def _take(holder: Any, key: str) -> Any:
    if isinstance(holder, list):
        return holder.pop(_index(key, len(holder)))
    if key not in holder:
        raise _Inapplicable
    return holder.pop(key)


def _add(document: Object, operation: Object) -> None:
    _put(*_parent(document, operation.get("path")), operation.get("value"))


def _remove(document: Object, operation: Object) -> None:
    _take(*_parent(document, operation.get("path")))


def _replace(document: Object, operation: Object) -> None:
    holder, key = _parent(document, operation.get("path"))
    if isinstance(holder, list):
        holder[_index(key, len(holder))] = operation.get("value")
    else:
        holder[key] = operation.get("value")


def _move(document: Object, operation: Object) -> None:
    value = _take(*_parent(document, operation.get("from")))
    _put(*_parent(document, operation.get("path")), value)


def _copy(document: Object, operation: Object, copied_bytes: int) -> int:
    """Takes and returns how much has been copied so far."""
    value = orjson.dumps(_get(*_parent(document, operation.get("from"))))
    copied_bytes += len(value)
    if copied_bytes > COPIED_BYTES_MAX:
        raise _Inapplicable
    _put(*_parent(document, operation.get("path")), orjson.loads(value))
    return copied_bytes


def _test(document: Object, operation: Object) -> None:
    found, wanted = _get(*_parent(document, operation.get("path"))), operation.get("value")
    # Compared as text: to JSON, 1 and true differ.
    if orjson.dumps(found, option=orjson.OPT_SORT_KEYS) != orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS):
        raise TestFailed


def _unknown(document: Object, operation: Object) -> None:
    raise _Inapplicable


_OPERATIONS: dict[str, Callable[[Object, Object], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "test": _test,
}
