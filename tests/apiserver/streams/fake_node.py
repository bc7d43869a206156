"""A kubelet and a client on loopback, with the handlers that join them in between."""

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kajitori.api import core
from kajitori.apiserver import pki
from kajitori.apiserver.authz.union import PrivilegedGroup
from kajitori.apiserver.http_types import CONNECTION_TAKEN, Query, Request, RequestContext, Response
from kajitori.apiserver.interfaces import Attributes
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.pods import PodStreams
from kajitori.apiserver.streams.proxies import Proxies, is_global_unicast
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[str, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
POD = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
    "status": {"podIP": "127.0.0.1"},
}


WEBSOCKET = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class World:
    """A kubelet on a free port of loopback, and the handlers that reach it."""

    def __init__(self, directory: Path, *, checked: bool = False) -> None:
        """`checked`: as it runs, so that no client is led to loopback through a proxy."""
        keys = pki.ensure(directory, ["127.0.0.1"], time.time())
        pki.ensure_pair(
            directory / "kubelet",
            keys.authority,
            ["127.0.0.1"],
            time.time(),
            lambda: pki.issue_serving(keys.authority, "system:node:n1", ["127.0.0.1"], time.time()),
        )
        self.directory = directory
        self.objects = FakeObjects()
        self.objects.put(core.POD, POD)
        self.heads: list[str] = []
        kubelets, endpoints = Kubelets(self.objects, directory), ServiceEndpoints(self.objects, random.Random(1))
        allowed = is_global_unicast if checked else lambda _: True
        self.handlers = {
            **PodStreams(self.objects, kubelets, PrivilegedGroup()).handlers(),
            **Proxies(self.objects, kubelets, endpoints, allowed).handlers(),
        }

    @asynccontextmanager
    async def kubelet(self, serve: Serve, *, tls: bool = True) -> AsyncIterator[int]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            await serve(head, reader, writer)
            writer.close()

        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.directory / "kubelet.crt", self.directory / "kubelet.key")
            context.load_verify_locations(self.directory / "ca.crt")
            context.verify_mode = ssl.CERT_REQUIRED
        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        self.node(port)
        try:
            yield port
        finally:
            server.close()

    def node(self, port: int) -> None:
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self.objects.put(core.NODE, {"metadata": {"name": "n1"}, "status": status})

    async def ask(
        self, subresource: str, query: str = "", *, plural: str = "pods", name: str = "web", **more: Any
    ) -> Response:
        path = f"/api/v1/namespaces/default/{plural}/{name}/{subresource}{more.pop('rest', '')}"
        user = more.pop("user", ADMIN)
        request = Request("GET", path, Query(query), **more)
        attributes = Attributes(user, "get", "", "v1", plural, subresource, "default", name, path)
        return await self.handlers["", plural, subresource](RequestContext(request, user, attributes))

    @asynccontextmanager
    async def session(
        self, serve: Serve, subresource: str, query: str, headers: dict[str, str], reachable: bool = True
    ) -> AsyncIterator[Ends]:
        """What a client that takes its connection over reads and writes; the handler must then say that it did."""
        connection = FakeConnection()
        async with self.kubelet(serve):
            if not reachable:
                self.node(1)
            task = asyncio.ensure_future(self.ask(subresource, query, headers=headers, connection=connection))
            reader, writer = await connection.client
            yield reader, writer
            assert await task is CONNECTION_TAKEN
            writer.close()


def answering(wire: bytes) -> Serve:
    """A kubelet that says the same to everybody."""

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(wire)
        await writer.drain()

    return serve


def upgrade_to(protocol: str, **more: str) -> dict[str, str]:
    """A client's headers that ask for a WebSocket of this protocol."""
    return WEBSOCKET | {"sec-websocket-protocol": protocol} | more


class FakeConnection:
    """The client's end: what it sends is in `reader`; what it gets, behind `client`."""

    def __init__(self) -> None:
        self.client: asyncio.Future[Ends] = asyncio.Future()

    async def take(self) -> Ends:
        ours: asyncio.Future[Ends] = asyncio.Future()
        server = await asyncio.start_server(lambda r, w: ours.set_result((r, w)), "127.0.0.1", 0)
        self.client.set_result(await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1]))
        ends = await ours
        server.close()
        return ends


async def body_of(response: Response) -> bytes:
    assert response.stream is not None
    return b"".join([piece async for piece in response.stream])
