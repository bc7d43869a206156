"""Requests as a handler of the API server gets them, without a connection."""

import orjson

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import Query, Request, RequestContext
from kajitori.apiserver.interfaces import Attributes, User

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))


def request(
    method: str = "GET",
    path: str = "/",
    body: Object | None = None,
    *,
    query: str = "",
    user: User = ADMIN,
    resource: Resource | None = None,
    namespace: str = "",
    name: str = "",
    subresource: str = "",
) -> RequestContext:
    """A context past authentication and authorization."""
    attributes = Attributes(
        user,
        method.lower(),
        resource.group if resource else "",
        resource.version if resource else "",
        resource.plural if resource else "",
        subresource,
        namespace,
        name,
        path,
    )
    content = orjson.dumps(body) if body is not None else b""
    return RequestContext(Request(method, path, Query(query), body=content), user, attributes, resource)
