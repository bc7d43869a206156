"""What the audit log shows of a request: what was understood, with its defaults and without what nobody knows."""

from collections.abc import Callable

import orjson

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import RequestContext


def tell_audit(
    resource: Resource, context: RequestContext, obj: Object, default: Callable[[Object], None] | None = None
) -> None:
    """`obj` is left as it is."""
    trail = context.request.trail
    if trail is None:
        return
    if default is not None:
        obj = orjson.loads(orjson.dumps(obj))
        default(obj)
    trail.understood({"kind": resource.kind, "apiVersion": resource.api_version, **obj})
