"""What a method and a path ask for: verb, group, version, resource, subresource, namespace, name."""

from functools import lru_cache
from typing import NamedTuple

from kajitori.api.errors import StatusError
from kajitori.api.selectors import parse_field_selector
from kajitori.apiserver.http_types import Query
from kajitori.apiserver.interfaces import Attributes, User

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


class RequestInfo(NamedTuple):
    """Not a resource: only `verb` (the method in lower case) and `path`. `rest` is what follows a subresource."""

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: str = ""
    collection: bool = False
    """The path names no object."""


_CACHED_PATH_MAX = 512
"""Longer paths are parsed anew: anybody can send them, and they must not fill the memory."""


@lru_cache(maxsize=8192)
def _parse_cached(method: str, path: str) -> RequestInfo:
    return _parse(method, path)


def _parse(method: str, path: str) -> RequestInfo:
    parts = path.strip("/").split("/")
    group = ""
    outside = RequestInfo(method.lower(), path)
    if len(parts) >= 3 and parts[0] == "api":
        version, parts = parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis" and parts[1]:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return outside
    if path.startswith("//"):
        return outside
    verb = _VERBS.get(method, "")
    if parts[0] == "watch":
        verb, parts = "watch", parts[1:]
        if not parts:
            return outside
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    if "" in parts[:3]:
        return outside  # two slashes where a resource, a name or a subresource should stand
    name = parts[1] if len(parts) > 1 else ""
    if not name and verb == "get":
        verb = "list"
    elif not name and verb == "delete":
        verb = "deletecollection"
    subresource = parts[2] if len(parts) > 2 else ""
    rest = "/".join(parts[3:]) + ("/" if path.endswith("/") and len(parts) > 3 else "")
    return RequestInfo(verb, path, group, version, parts[0], subresource, namespace, name, rest, not name)


def request_info(method: str, path: str, query: Query) -> RequestInfo:
    """Upstream's reading of a request. A list or watch of one name (`fieldSelector=metadata.name=x`) has that name,
    so that a rule with resourceNames can allow it."""
    info = _parse_cached(method, path) if len(path) <= _CACHED_PATH_MAX else _parse(method, path)
    if not query.text or not info.resource:
        return info
    if info.verb == "list" and query.flag("watch"):
        info = info._replace(verb="watch")
    if info.collection and info.verb in ("list", "watch", "deletecollection") and (text := query.get("fieldSelector")):
        try:
            name = parse_field_selector(text).required("metadata.name")
        except StatusError:
            return info  # refused later, with its message
        if name:
            info = info._replace(name=name)
    return info


LONG_SUBRESOURCES = frozenset(("attach", "exec", "log", "portforward", "proxy"))


def is_long_running(info: RequestInfo) -> bool:
    """Whether its answer may take as long as it likes, be it a refusal."""
    return info.verb == "watch" or (bool(info.resource) and info.subresource in LONG_SUBRESOURCES)


def attributes_of(user: User, info: RequestInfo, query: Query) -> Attributes:
    """What authorization and the audit log are told of a request."""
    return Attributes(
        user,
        info.verb,
        info.group,
        info.version,
        info.resource,
        info.subresource,
        info.namespace,
        info.name,
        info.path,
        query.get("labelSelector"),
        query.get("fieldSelector"),
    )
