"""JSON patch (RFC 6902): a list of operations, all of which happen or none.

Where upstream's library is laxer than the RFC this is too: replacing a missing member adds it, copying a missing one
copies null, a missing one equals null in a test, negative indices count from the end, and what stands before the first
slash of a path says nothing. The whole document can be replaced and tested, by the empty path, and nothing else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from kajitori.api.errors import BadRequest, Invalid, RequestEntityTooLarge
from kajitori.api.go_text import quoted
from kajitori.api.meta import Object
from kajitori.api.patch.refusals import not_applicable

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""What the copies of one patch may add, as upstream limits it: thirty of them can double a document thirty times."""
_MISSING, _NO_INDEX = "missing value", "invalid index referenced"


class Inapplicable(Invalid):
    """An operation that cannot be carried out. Who sent the patch is told no more than that; `why` (upstream's words)
    is for who wrote it on behalf of others: a webhook, a policy."""

    def __init__(self, why: str) -> None:
        refusal = not_applicable()
        super().__init__(refusal.message, refusal.details)
        self.why = why


class TestFailed(Inapplicable):
    """A `test` that does not hold; to most, an operation that fails."""

    __test__ = False


class _NoPlace(Exception):
    """Nothing can be there; says why."""


def apply(obj: Object, operations: Any) -> Object:
    """Raises BadRequest for what is no list of operations, Inapplicable (TestFailed) for an operation that fails."""
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
    for operation in operations:
        kind = operation.get("op")
        if kind == "copy":
            copied_bytes = _copy(document, operation, copied_bytes)
        else:
            _OPERATIONS.get(str(kind), _unknown)(document, operation)
    return document


def _path(operation: Object) -> str:
    """Raises Inapplicable for an operation without one."""
    path = operation.get("path")
    if not isinstance(path, str):
        raise Inapplicable(f"{operation.get('op')} operation failed to decode path: {_MISSING}")
    return path


def _source(operation: Object) -> str:
    source = operation.get("from")
    if not isinstance(source, str):
        why = f"operation, missing from field: {_MISSING}"
        raise Inapplicable(f"{operation.get('op')} operation failed to decode from: {why}")
    return source


def _parent(document: Object, pointer: str, missing: str) -> tuple[Any, str]:
    """The map or list that holds the place, and the last part of the pointer. `missing` says of what it is missed,
    with the place for `{}`."""
    _, slash, places = pointer.partition("/")
    if slash:
        *parts, last = [part.replace("~1", "/").replace("~0", "~") for part in places.split("/")]
        holder: Any = document
        for part in parts:
            try:
                holder = _get(holder, part)
            except _NoPlace:
                holder = None
            if not isinstance(holder, dict | list):
                break
        else:
            return holder, last
    raise Inapplicable(f"{missing.format(pointer)}: {_MISSING}")


def _index(text: str, length: int) -> int:
    """A place in a list of `length` places. Raises _NoPlace."""
    try:
        index = int(text)
    except ValueError:
        raise _NoPlace(f"strconv.Atoi: parsing {quoted(text)}: invalid syntax") from None
    if not -length <= index < length:
        raise _NoPlace(f"Unable to access invalid index: {index}: {_NO_INDEX}")
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
        raise _NoPlace(f"Unable to remove nonexistent key: {key}: {_MISSING}")
    return holder.pop(key)


@contextmanager
def _saying(where: str) -> Iterator[None]:
    try:
        yield
    except _NoPlace as error:
        raise Inapplicable(f"{where}: {error}") from None


def _add(document: Object, operation: Object) -> None:
    path = _path(operation)
    holder, key = _parent(document, path, 'add operation does not apply: doc is missing path: "{}"')
    with _saying(f"error in add for path: '{path}'"):
        _put(holder, key, operation.get("value"))


def _remove(document: Object, operation: Object) -> None:
    path = _path(operation)
    holder, key = _parent(document, path, 'remove operation does not apply: doc is missing path: "{}"')
    with _saying(f"error in remove for path: '{path}'"):
        _take(holder, key)


def _replace(document: Object, operation: Object) -> None:
    path = _path(operation)
    if not path:
        _replace_all(document, operation.get("value"))
        return
    holder, key = _parent(document, path, "replace operation does not apply: doc is missing path: {}")
    if isinstance(holder, dict):
        holder[key] = operation.get("value")
        return
    try:
        holder[_index(key, len(holder))] = operation.get("value")
    except _NoPlace:
        raise Inapplicable(f"replace operation does not apply: doc is missing key: {path}: {_MISSING}") from None


def _replace_all(document: Object, value: Any) -> None:
    if not isinstance(value, dict):
        raise Inapplicable("replace operation hit impossible case: invalid state detected")
    document.clear()
    document.update(orjson.loads(orjson.dumps(value)))


def _move(document: Object, operation: Object) -> None:
    holder, key = _parent(document, _source(operation), "move operation does not apply: doc is missing from path: {}")
    with _saying(f"error in move for path: '{key}'"):
        value = _take(holder, key)
    path = _path(operation)
    holder, key = _parent(document, path, "move operation does not apply: doc is missing destination path: {}")
    with _saying(f"error in move for path: '{path}'"):
        _put(holder, key, value)


def _copy(document: Object, operation: Object, copied_bytes: int) -> int:
    """Takes and returns how much has been copied so far."""
    source = _source(operation)
    holder, key = _parent(document, source, "copy operation does not apply: doc is missing from path: {}")
    with _saying(f"error in copy for from: '{source}'"):
        value = orjson.dumps(_get(holder, key))
    path = _path(operation)
    holder, key = _parent(document, path, "copy operation does not apply: doc is missing destination path: {}")
    copied_bytes += len(value)
    if copied_bytes > COPIED_BYTES_MAX:
        raise Inapplicable(
            f"Unable to complete the copy, the accumulated size increase of copy is {copied_bytes}, exceeding the "
            f"limit {COPIED_BYTES_MAX}"
        )
    with _saying("error while adding value during copy"):
        _put(holder, key, orjson.loads(value))
    return copied_bytes


def _test(document: Object, operation: Object) -> None:
    path, wanted = _path(operation), operation.get("value")
    found: Any = document
    if path:
        holder, key = _parent(document, path, "test operation does not apply: is missing path: {}")
        with _saying(f"error in test for path: '{path}'"):
            found = _get(holder, key)
    # Compared as text: to JSON, 1 and true differ.
    if orjson.dumps(found, option=orjson.OPT_SORT_KEYS) != orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS):
        raise TestFailed(f"testing value {path} failed: test failed")


def _unknown(document: Object, operation: Object) -> None:
    raise Inapplicable(f"Unexpected kind: {operation.get('op') or 'unknown'}")


_OPERATIONS: dict[str, Callable[[Object, Object], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "test": _test,
}
