"""The verbs of the `Client` interface as requests: paths, queries and bodies of the Kubernetes API conventions."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.api.resource import Resource
from kajitori.client.interface import Disconnected, ObjectList, PatchType, WatchEvent, WatchEventType
from kajitori.client.wire import Answer, Wire, lines, read_all

JSON = {"Content-Type": "application/json"}

# What an answer without a Status (a proxy, a broken server) means.
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class WireClient:
    """Implements `kajitori.client.interface.Client` over any `Wire`, which is closed with it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        return await self._call("GET", _path(resource, namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        continue_token: str = "",
        resource_version: str = "",
    ) -> ObjectList:
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": limit or "",
            "continue": continue_token,
            "resourceVersion": resource_version,
        }
        found = await self._call("GET", _path(resource, namespace), query)
        items = found.get("items") or []
        for item in items:
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        metadata = found.get("metadata") or {}
        return ObjectList(items, metadata.get("resourceVersion", ""), metadata.get("continue", ""))

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        where = namespace or namespace_of(obj) or None
        return await self._call("POST", _path(resource, where, name, subresource), body=orjson.dumps(obj))

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        path = _path(resource, namespace_of(obj), name_of(obj), subresource)
        return await self._call("PUT", path, body=orjson.dumps(obj))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        namespace: str | None = None,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str | None = None,
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        return await self._call(
            "PATCH",
            _path(resource, namespace, name, subresource),
            {"fieldManager": field_manager, "force": "true" if force else ""},
            patch if isinstance(patch, bytes) else orjson.dumps(patch),
            {"Content-Type": patch_type.value},
        )

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: str = "",
        uid: str = "",
        resource_version: str = "",
    ) -> Object:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation:
            options["propagationPolicy"] = propagation
        if preconditions := {k: v for k, v in (("uid", uid), ("resourceVersion", resource_version)) if v}:
            options["preconditions"] = preconditions
        return await self._call("DELETE", _path(resource, namespace, name), body=orjson.dumps(options))

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str = "",
    ) -> None:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if propagation:
            options["propagationPolicy"] = propagation
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        await self._call("DELETE", _path(resource, namespace), query, orjson.dumps(options))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_s: int = 0,
    ) -> AsyncIterator[WatchEvent]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": timeout_s or "",
        }
        async with self._wire.stream(_target(_path(resource, namespace), query)) as (status, pieces):
            if status != 200:
                raise _refusal(Answer(status, {}, await read_all(pieces)))
            async with aclosing(lines(pieces)) as events:
                async for line in events:
                    yield _event(line, resource)

    async def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        answer = await self._wire.request(method, path, body, headers or {})
        return answer.status, answer.headers, answer.body

    async def close(self) -> None:
        await self._wire.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Object:
        sent = headers or (JSON if body else {})
        answer = await self._wire.request(method, _target(path, query or {}), body, sent)
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        return _document(answer.body, self._wire)


def _path(resource: Resource, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    return quote(resource.path(namespace, name, subresource), safe="/:")


def _target(path: str, query: dict[str, Any]) -> str:
    given = {name: value for name, value in query.items() if value != ""}
    return f"{path}?{urlencode(given)}" if given else path


def _document(body: bytes, wire: Wire) -> Object:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Disconnected(f"{wire.address}: the answer is not JSON ({error}): is this an API server?") from error
    return document  # type: ignore[no-any-return]


def _refusal(answer: Answer) -> StatusError:
    try:
        status = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = answer.body[:500].decode(errors="replace").strip()
        message = text or f"the server answered {answer.status} without a reason"
        status = {"message": message, "code": answer.status, "reason": _REASONS.get(answer.status, "")}
    return StatusError.from_status(status)


def _event(line: bytes, resource: Resource) -> WatchEvent:
    document = orjson.loads(line)
    obj = document["object"]
    if document["type"] == "ERROR":
        raise StatusError.from_status(obj)
    obj.setdefault("apiVersion", resource.api_version)
    obj.setdefault("kind", resource.kind)
    return WatchEvent(WatchEventType(document["type"]), obj)
