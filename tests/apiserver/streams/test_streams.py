import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from kajitori.api import core, discovery
from kajitori.api.errors import BadRequest, Forbidden, ServiceUnavailable
from kajitori.apiserver import pki
from kajitori.apiserver.authz.union import PrivilegedGroup
from kajitori.apiserver.http_types import CONNECTION_TAKEN, Query, Request, RequestContext, Response
from kajitori.apiserver.interfaces import Attributes, User
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.pods import PodStreams, check_log_options, container_of
from kajitori.apiserver.streams.proxies import Proxies, parse_proxy_name
from kajitori.apiserver.streams.resource_metrics import ResourceMetrics
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.apiserver.streams.spdy import SpdySession
from kajitori.kit.clock import SystemClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

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

    def __init__(self, directory: Path) -> None:
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
        kubelets = Kubelets(self.objects, directory)
        self.handlers = {
            **PodStreams(self.objects, kubelets, PrivilegedGroup()).handlers(),
            **Proxies(self.objects, kubelets, ServiceEndpoints(self.objects, random.Random(1))).handlers(),
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
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self.objects.put(core.NODE, {"metadata": {"name": "n1"}, "status": status})
        try:
            yield port
        finally:
            server.close()

    async def ask(
        self, subresource: str, query: str = "", *, plural: str = "pods", name: str = "web", **more: Any
    ) -> Response:
        path = f"/api/v1/namespaces/default/{plural}/{name}/{subresource}{more.pop('rest', '')}"
        user = more.pop("user", ADMIN)
        request = Request("GET", path, Query(query), **more)
        attributes = Attributes(user, "get", "", "v1", plural, subresource, "default", name, path)
        return await self.handlers["", plural, subresource](RequestContext(request, user, attributes))


class FakeConnection:
    """The client's end: what it sends is in `reader`; what it gets, behind `client`."""

    def __init__(self) -> None:
        self.client: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()

    async def take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
        server = await asyncio.start_server(lambda r, w: ours.set_result((r, w)), "127.0.0.1", 0)
        self.client.set_result(await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1]))
        ends = await ours
        server.close()
        return ends


async def body_of(response: Response) -> bytes:
    assert response.stream is not None
    return b"".join([piece async for piece in response.stream])


def test_logs_stream_from_the_kubelet(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")
        await writer.drain()

    async def scenario() -> bytes:
        async with world.kubelet(serve):
            return await body_of(await world.ask("log", "follow=true&tailLines=5&unknown=1"))

    assert asyncio.run(scenario()) == b"one\ntwo\n"
    assert world.heads[0].startswith("GET /containerLogs/default/web/app?follow=true&tailLines=5 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("protocols", "frames"),
    [
        ("", b"\x82\x00\x82\x04one\n\x82\x04two\n\x88\x02\x03\xe8"),
        ("v4.channel.k8s.io, base64.binary.k8s.io", b"\x81\x00\x81\x08b25lCg==\x81\x08dHdvCg==\x88\x02\x03\xe8"),
    ],
)
def test_a_browser_reads_logs_over_a_websocket(tmp_path: Path, protocols: str, frames: bytes) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n4\r\none\n\r\n")
        await writer.drain()
        await go_on.wait()
        writer.write(b"4\r\ntwo\n\r\n0\r\n\r\n")
        await writer.drain()

    async def scenario() -> bytes:
        connection = FakeConnection()
        headers = WEBSOCKET | ({"sec-websocket-protocol": protocols} if protocols else {})
        async with world.kubelet(serve):
            task = asyncio.ensure_future(world.ask("log", headers=headers, connection=connection))
            reader, writer = await connection.client
            head = await reader.readuntil(b"\r\n\r\n")
            assert (b"Sec-WebSocket-Protocol: base64.binary.k8s.io" in head) is bool(protocols)
            first = await reader.readexactly(12 if protocols else 8)
            go_on.set()
            received = first + await reader.read()
            assert await task is CONNECTION_TAKEN
            writer.close()
            return received

    go_on = asyncio.Event()
    assert asyncio.run(scenario()) == frames
    assert world.heads[0].startswith("GET /containerLogs/default/web/app HTTP/1.1\r\n")


def test_a_log_that_is_followed_ends_when_the_browser_leaves(tmp_path: Path) -> None:
    world = World(tmp_path)
    left = asyncio.Event()

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        assert await reader.read() == b""
        left.set()

    async def scenario() -> None:
        connection = FakeConnection()
        async with world.kubelet(serve):
            task = asyncio.ensure_future(world.ask("log", "follow=1", headers=WEBSOCKET, connection=connection))
            reader, writer = await connection.client
            await reader.readuntil(b"\r\n\r\n\x82\x00")
            writer.write(b"\x88\x80\x00\x00\x00\x00")
            assert await reader.read() == b"\x88\x00"
            assert await task is CONNECTION_TAKEN
            await left.wait()
            writer.close()

    asyncio.run(scenario())


def test_a_websocket_of_an_unknown_protocol_is_refused_before_the_kubelet_is_asked(tmp_path: Path) -> None:
    headers = WEBSOCKET | {"sec-websocket-protocol": "v4.channel.k8s.io"}
    with pytest.raises(BadRequest, match=r"ask for binary\.k8s\.io, base64\.binary\.k8s\.io"):
        asyncio.run(World(tmp_path).ask("log", headers=headers))


def test_a_refused_log_becomes_a_status(tmp_path: Path) -> None:
    world = World(tmp_path)
    message = b'container "app" in pod "web" is waiting to start: ContainerCreating'

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = b"content-length: %d" % len(message)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n" + length + b"\r\n\r\n" + message)
        await writer.drain()

    async def scenario() -> None:
        async with world.kubelet(serve):
            with pytest.raises(BadRequest) as refused:
                await world.ask("log")
            assert refused.value.message == message.decode()

    asyncio.run(scenario())


def test_an_upgrade_is_joined_both_ways_and_keeps_no_credentials(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: SPDY/3.1\r\n\r\n")
        piece = await reader.readexactly(5)
        writer.write(piece.upper())
        await writer.drain()

    async def scenario() -> bytes:
        connection = FakeConnection()
        headers = {
            "connection": "Upgrade",
            "upgrade": "SPDY/3.1",
            "authorization": "Bearer secret",
            "sec-websocket-protocol": "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0",
        }
        async with world.kubelet(serve):
            task = asyncio.ensure_future(
                world.ask(
                    "exec", "command=ls&command=-l&stdin=1&stdout=true&tty=0", headers=headers, connection=connection
                )
            )
            reader, writer = await connection.client
            writer.write(b"hello")
            received = await reader.read()
            assert await task is CONNECTION_TAKEN
            writer.close()
            return received

    received = asyncio.run(scenario())
    assert received.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert received.endswith(b"HELLO")
    head = world.heads[0]
    assert head.startswith("GET /exec/default/web/app?command=ls&command=-l&input=1&output=1 HTTP/1.1\r\n")
    assert "secret" not in head
    assert "c2VjcmV0" not in head
    assert "sec-websocket-protocol: v4.channel.k8s.io\r\n" in head


def test_a_refused_upgrade_is_handed_on(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone")

    async def scenario() -> Response:
        headers = {"connection": "Upgrade", "upgrade": "websocket"}
        async with world.kubelet(serve):
            return await world.ask("portforward", "ports=80", headers=headers)

    response = asyncio.run(scenario())
    assert (response.status, response.body) == (404, b"gone")


def test_what_cannot_be_reached_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    world.objects.put(core.NODE, {"metadata": {"name": "n1"}, "status": status})
    headers = {"connection": "Upgrade", "upgrade": "websocket"}
    with pytest.raises(ServiceUnavailable, match=r"error dialing backend: 127\.0\.0\.1:1"):
        asyncio.run(world.ask("exec", "command=ls&stdout=1", headers=headers))
    with pytest.raises(ServiceUnavailable, match="error trying to reach service"):
        asyncio.run(world.ask("log"))


def test_who_may_only_read_may_not_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    headers = {"connection": "Upgrade", "upgrade": "websocket"}
    with pytest.raises(Forbidden, match="cannot create resource"):
        asyncio.run(world.ask("exec", "command=ls&stdout=1", headers=headers, user=User("jane")))
    with pytest.raises(BadRequest, match="Upgrade request required"):
        asyncio.run(world.ask("exec", "command=ls&stdout=1"))


def test_which_container() -> None:
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]},
    }
    assert container_of(pod, "i") == "i"
    with pytest.raises(BadRequest) as refused:
        container_of(pod, "")
    assert refused.value.message == (
        "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
    )
    with pytest.raises(BadRequest, match="container x is not valid for pod p"):
        container_of(pod, "x")
    with pytest.raises(BadRequest, match="greater than 0"):
        check_log_options({"limitBytes": "0"})


def test_a_service_is_proxied_to_a_ready_endpoint(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-own: yes\r\n\r\nok")

    async def scenario() -> Response:
        async with world.kubelet(serve, tls=False) as port:
            service = {
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"ports": [{"name": "h", "port": 80}]},
            }
            world.objects.put(core.SERVICE, service)
            world.objects.put(
                discovery.ENDPOINT_SLICE,
                {
                    "metadata": {
                        "name": "web-1",
                        "namespace": "default",
                        "labels": {"kubernetes.io/service-name": "web"},
                    },
                    "ports": [{"name": "h", "port": port}],
                    "endpoints": [
                        {"addresses": ["127.0.0.9"], "conditions": {"ready": False}},
                        {"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
                    ],
                },
            )
            response = await world.ask("proxy", "a=1", plural="services", name="web:h", rest="/deep/path")
            assert await body_of(response) == b"ok"
            pod = await world.ask("proxy", name=f"web:{port}", rest="/")
            assert await body_of(pod) == b"ok"
            root = await world.ask("proxy", "q=1", name=f"web:{port}")
            location = f"/api/v1/namespaces/default/pods/web:{port}/proxy/?q=1"
            assert (root.status, root.headers) == (301, (("Location", location),))
            raw = f"/api/v1/namespaces/default/pods/web:{port}/proxy/a%2Fb%20c//d/"
            await body_of(await world.ask("proxy", name=f"web:{port}", rest="/a/b c//d/", raw_path=raw))
            return response

    assert ("x-own", "yes") in asyncio.run(scenario()).headers
    assert world.heads[0].startswith("GET /deep/path?a=1 HTTP/1.1\r\n")
    assert world.heads[1].startswith("GET / HTTP/1.1\r\n")
    assert world.heads[2].startswith("GET /a%2Fb%20c//d/ HTTP/1.1\r\n")


def test_pages_and_redirects_of_a_pod_lead_through_the_proxy(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.startswith("GET /old"):
            writer.write(b"HTTP/1.1 302 Found\r\nlocation: /new/\r\ncontent-length: 0\r\n\r\n")
        else:
            page = b'<a href="/rewriteme">test</a>'
            kind = b"content-type: text/html; charset=utf-8\r\ncontent-length: %d\r\n\r\n" % len(page)
            writer.write(b"HTTP/1.1 200 OK\r\n" + kind + page)

    async def scenario() -> tuple[bytes, Response, str]:
        async with world.kubelet(serve, tls=False) as port:
            prefix = f"/api/v1/namespaces/default/pods/web:{port}/proxy"
            page = await body_of(await world.ask("proxy", name=f"web:{port}", rest="/"))
            return page, await world.ask("proxy", name=f"web:{port}", rest="/old"), prefix

    page, moved, prefix = asyncio.run(scenario())
    assert page == f'<a href="{prefix}/rewriteme">test</a>'.encode()
    assert (moved.status, dict(moved.headers)["location"]) == (302, f"{prefix}/new/")


def test_names_of_proxied_things() -> None:
    assert parse_proxy_name("https:web:443") == ("https", "web", "443")
    assert parse_proxy_name("web:http") == ("", "web", "http")
    with pytest.raises(BadRequest):
        parse_proxy_name("a:b:c:d")


def test_metrics_come_from_the_kubelets(tmp_path: Path) -> None:
    world = World(tmp_path)
    pod = world.objects.put(core.POD, {**POD, "metadata": {**POD["metadata"], "labels": {"app": "web"}}})  # type: ignore[dict-item]
    used = {"cpu": {"usageNanoCores": 5000000}, "memory": {"workingSetBytes": 4096}}
    reference = {"name": "web", "namespace": "default", "uid": pod["metadata"]["uid"]}
    summary = orjson.dumps({"node": used, "pods": [{"podRef": reference, "containers": [{"name": "app", **used}]}]})

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(summary), summary))

    async def scenario() -> tuple[Any, Any, Any]:
        metrics = ResourceMetrics(world.objects, Kubelets(world.objects, world.directory), SystemClock()).handlers()

        async def ask(plural: str, **more: str) -> Any:
            attributes = Attributes(ADMIN, "list", "metrics.k8s.io", "v1beta1", plural, **more)
            context = RequestContext(Request("GET", "/"), ADMIN, attributes)
            return orjson.loads((await metrics["metrics.k8s.io", plural, ""](context)).body)

        async with world.kubelet(serve):
            none = await ask("pods", namespace="default", label_selector="app=other")
            return await ask("nodes"), await ask("pods", namespace="default", label_selector="app=web"), none

    nodes, pods, none = asyncio.run(scenario())
    assert nodes["items"][0]["usage"] == {"cpu": "5000000n", "memory": "4Ki"}
    assert pods["items"][0]["containers"] == [{"name": "app", "usage": {"cpu": "5000000n", "memory": "4Ki"}}]
    assert none["items"] == []


def test_a_v5_client_is_understood_by_a_kubelet_that_speaks_spdy(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: SPDY/3.1\r\n\r\n")
        stdin, ended = b"", False
        while not ended:
            first, second = [int.from_bytes(await reader.readexactly(4)) for _ in range(2)]
            payload = await reader.readexactly(second & 0xFFFFFF)
            if not first >> 31:
                assert first == 3
                stdin, ended = stdin + payload, bool(second >> 24)
        writer.write(SpdySession.data(5, stdin.upper() * 10_000, ended=True))
        writer.write(SpdySession.data(1, b'{"status":"Success"}', ended=True))
        await writer.drain()

    async def scenario() -> bytes:
        connection = FakeConnection()
        headers = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "x",
            "sec-websocket-protocol": "v5.channel.k8s.io",
            "authorization": "Bearer secret",
        }
        async with world.kubelet(serve):
            asked = world.ask("exec", "command=tr&stdin=1&stdout=1", headers=headers, connection=connection)
            task = asyncio.ensure_future(asked)
            reader, writer = await connection.client
            for message in (b"\0hello", b"\xff\0"):
                writer.write(bytes((0x82, 0x80 | len(message))) + bytes(4) + message)
            received = await reader.read()
            assert await task is CONNECTION_TAKEN
            writer.close()
            return received

    received = asyncio.run(scenario())
    head, _, frames = received.partition(b"\r\n\r\n")
    assert b"Sec-WebSocket-Protocol: v5.channel.k8s.io" in head
    socket_output = b""
    while frames:
        size, at = (frames[1], 2) if frames[1] < 126 else (int.from_bytes(frames[2:4]), 4)
        message, frames = frames[at : at + size], frames[at + size :]
        if message[:1] == b"\1":
            socket_output += message[1:]
        last = (message, socket_output)
    assert socket_output == b"HELLO" * 10_000
    assert last[0] == b"\x03\xe8" and b'\3{"status":"Success"}' in received
    assert world.heads[0].startswith("POST /exec/default/web/app?command=tr&input=1&output=1 HTTP/1.1\r\n")
    assert "x-stream-protocol-version: v4.channel.k8s.io\r\n" in world.heads[0] and "secret" not in world.heads[0]


def test_a_tunnelled_port_forward_reaches_the_kubelet_as_spdy(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: SPDY/3.1\r\n\r\n")
        writer.write((await reader.readexactly(5)).upper())
        await writer.drain()

    async def scenario() -> bytes:
        connection = FakeConnection()
        headers = {
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "x",
            "sec-websocket-protocol": "SPDY/3.1+portforward.k8s.io",
        }
        async with world.kubelet(serve):
            task = asyncio.ensure_future(world.ask("portforward", "", headers=headers, connection=connection))
            reader, writer = await connection.client
            writer.write(b"\x82\x83" + bytes(4) + b"abc" + b"\x82\x82" + bytes(4) + b"de")
            received = await reader.read()
            assert await task is CONNECTION_TAKEN
            writer.close()
            return received

    received = asyncio.run(scenario())
    assert b"Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n" in received
    assert received.endswith(b"\x82\x05ABCDE\x88\x02\x03\xe8")
    assert "x-stream-protocol-version: portforward.k8s.io\r\n" in world.heads[0]
