"""The `Client` interface without sockets: the same pipeline, admission and authorization included."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import urlencode

import orjson

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.api.resource import Resource
from kajitori.apiserver.extension import ADMIN
from kajitori.apiserver.http_types import Query, Request, Response, Source
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.server import ApiServer
from kajitori.client.interface import ObjectList, PatchType, WatchEvent, WatchEventType

WATCH_BUFFER = 1024
"""Chunks that a slow reader may leave lying; beyond, the server's own buffer fills, and then the watch gets 410."""
_USER_AGENT = "kajitori"


class _ChunkBuffer:
    """A sink that is read in process."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._chunks: deque[bytes] = deque()
        self._wakeup: asyncio.Future[None] | None = None
        self._ended = False

    @property
    def writable(self) -> bool:
        return len(self._chunks) < WATCH_BUFFER

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        self._source.start(self)
        try:
            while True:
                while self._chunks:
                    chunk = self._chunks.popleft()
                    if len(self._chunks) == WATCH_BUFFER // 2:
                        self._source.resume()
                    yield chunk
                if self._ended:
                    return
                self._source.resume()
                if self._chunks or self._ended:
                    continue
                self._wakeup = asyncio.get_running_loop().create_future()
                await self._wakeup
        finally:
            self._source.stop()


class LocalClient:
    """Acts as `user`; by default the administrator."""

    def __init__(self, server: ApiServer, user: User = ADMIN, user_agent: str = _USER_AGENT) -> None:
        self._server = server
        self._user = user
        self._agent = user_agent

    async def _answer(
        self, method: str, path: str, query: dict[str, Any], body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Response:
        given = {key: value for key, value in query.items() if value not in (None, "", 0, False)}
        sent = {"user-agent": self._agent, "content-type": "application/json", **(headers or {})}
        request = Request(method, path, Query(urlencode(given)), sent, body, raw_path=path)
        return await self._server.answer(request, self._user)

    async def _ask(
        self, method: str, path: str, query: dict[str, Any], body: Any = None, headers: dict[str, str] | None = None
    ) -> Object:
        response = await self._answer(method, path, query, orjson.dumps(body) if body is not None else b"", headers)
        document: Object = orjson.loads(response.body)
        if response.status >= 400:
            raise StatusError.from_status(document)
        return document

    async def get(
        self, resource: Resource, name: str, namespace: str | None = None, *, subresource: str | None = None
    ) -> Object:
        return await self._ask("GET", resource.path(namespace, name, subresource), {})

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
            "limit": limit,
            "continue": continue_token,
            "resourceVersion": resource_version,
        }
        document = await self._ask("GET", resource.path(namespace), query)
        metadata = document["metadata"]
        return ObjectList(document["items"], metadata["resourceVersion"], metadata.get("continue", ""))

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Object:
        place = namespace if namespace is not None else namespace_of(obj)
        return await self._ask("POST", resource.path(place, name, subresource), {}, obj)

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        path = resource.path(namespace_of(obj), name_of(obj), subresource)
        return await self._ask("PUT", path, {}, obj)

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
        query = {"fieldManager": field_manager, "force": "true" if force else ""}
        headers = {"content-type": patch_type.value}
        return await self._ask("PATCH", resource.path(namespace, name, subresource), query, patch, headers)

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
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options["preconditions"] = {key: value for key, value in preconditions.items() if value}
        return await self._ask("DELETE", resource.path(namespace, name), {}, options)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str = "",
    ) -> None:
        query = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "propagationPolicy": propagation,
        }
        await self._ask("DELETE", resource.path(namespace), query)

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
            "timeoutSeconds": timeout_s,
        }
        response = await self._answer("GET", resource.path(namespace), query)
        if response.source is None:
            raise StatusError.from_status(orjson.loads(response.body))
        async with contextlib.aclosing(_ChunkBuffer(response.source).chunks()) as lines:
            async for line in lines:
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise StatusError.from_status(event["object"])
                yield WatchEvent(WatchEventType(event["type"]), event["object"])

    async def raw(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = path.partition("?")
        sent = {"user-agent": self._agent, **{name.lower(): value for name, value in (headers or {}).items()}}
        request = Request(method, path, Query(query), sent, body, raw_path=path)
        response = await self._server.answer(request, self._user)
        body = response.body
        if response.stream is not None:
            body = b"".join([chunk async for chunk in response.stream])
        elif response.source is not None:
            body = b"".join([chunk async for chunk in _ChunkBuffer(response.source).chunks()])
        answered = {name.lower(): value for name, value in response.headers}
        return response.status, {"content-type": response.content_type, **answered}, body

    async def close(self) -> None:
        """Nothing to let go of."""
