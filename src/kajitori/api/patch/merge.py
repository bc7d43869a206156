"""Merge patch (RFC 7386): maps are merged, null removes, everything else is replaced.

As upstream's library has it, maps inside a replaced list lose their nulls too.
"""

from typing import Any

import orjson

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object


def apply(obj: Object, patch: Any) -> Object:
    """Raises BadRequest when the patch is no object."""
    if not isinstance(patch, dict):
        raise BadRequest("Invalid JSON Patch")
    merged: Object = _merged(orjson.loads(orjson.dumps(obj)), patch)
    return merged


def _merged(target: Any, patch: Any) -> Any:
    if isinstance(patch, list):
        return [_merged(None, item) for item in patch]
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value)
    return target
