"""JSON patch (RFC 6902): a list of operations, all of which happen or none."""

from typing import Any

import orjson

from kajitori.api.errors import BadRequest, RequestEntityTooLarge
from kajitori.api.meta import Object
from kajitori.api.patch.refusals import not_applicable

OPERATIONS_MAX = 10_000


def apply(obj: Object, operations: Any) -> Object:
    """Raises BadRequest for what is no list of operations, Invalid for an operation that fails."""
    import jsonpatch
    import jsonpointer

    if not isinstance(operations, list):
        kind = "object" if isinstance(operations, dict) else type(operations).__name__
        raise BadRequest(f"json: cannot unmarshal {kind} into Go value of type jsonpatch.Patch")
    if not all(isinstance(operation, dict) for operation in operations):
        raise BadRequest("json: cannot unmarshal the patch: every operation is an object with op and path")
    if len(operations) > OPERATIONS_MAX:
        raise RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {len(operations)}"
        )
    document = orjson.loads(orjson.dumps(obj))
    try:
        patched = jsonpatch.apply_patch(document, operations, in_place=True)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError):
        raise not_applicable() from None
    if not isinstance(patched, dict):
        raise not_applicable()
    return patched
