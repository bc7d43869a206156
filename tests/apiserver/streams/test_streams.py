"""Logs, exec, attach and port-forward, between a client and a kubelet."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from fake_node import POD, WEBSOCKET, World, answering, body_of, upgrade_to

from kajitori.api import core
from kajitori.api.errors import BadRequest, Forbidden, StatusError
from kajitori.apiserver.http_types import Request, RequestContext, Response
from kajitori.apiserver.interfaces import Attributes, User
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.pods import check_log_options, container_of
from kajitori.apiserver.streams.resource_metrics import ResourceMetrics
from kajitori.apiserver.streams.spdy import SpdySession
from kajitori.kit.clock import SystemClock
from kajitori.testing.requests import ADMIN


def test_logs_stream_from_the_kubelet(tmp_path: Path) -> None:
    world = World(tmp_path)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"

    async def scenario() -> bytes:
        async with world.kubelet(answering(head + b"4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")):
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
        headers = upgrade_to(protocols) if protocols else WEBSOCKET
        async with world.session(serve, "log", "", headers) as (reader, _):
            head = await reader.readuntil(b"\r\n\r\n")
            assert (b"Sec-WebSocket-Protocol: base64.binary.k8s.io" in head) is bool(protocols)
            first = await reader.readexactly(12 if protocols else 8)
            go_on.set()
            return first + await reader.read()

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
        async with world.session(serve, "log", "follow=1", WEBSOCKET) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n\x82\x00")
            writer.write(b"\x88\x80\x00\x00\x00\x00")
            assert await reader.read() == b"\x88\x00"
            await left.wait()

    asyncio.run(scenario())


def test_a_websocket_of_an_unknown_protocol_is_refused_before_the_kubelet_is_asked(tmp_path: Path) -> None:
    headers = upgrade_to("v4.channel.k8s.io")
    with pytest.raises(BadRequest, match=r"ask for binary\.k8s\.io, base64\.binary\.k8s\.io"):
        asyncio.run(World(tmp_path).ask("log", headers=headers))


def test_a_refused_log_becomes_a_status(tmp_path: Path) -> None:
    world = World(tmp_path)
    message = b'container "app" in pod "web" is waiting to start: ContainerCreating'
    head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(message)

    async def scenario() -> None:
        async with world.kubelet(answering(head + message)):
            with pytest.raises(BadRequest) as refused:
                await world.ask("log")
            assert refused.value.message == message.decode()

    asyncio.run(scenario())


def test_a_pod_that_is_nowhere_has_no_log_and_that_is_no_error(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.objects.put(core.POD, {**POD, "spec": {**POD["spec"], "nodeName": ""}})
    answer = asyncio.run(world.ask("log"))
    assert (answer.status, answer.body, answer.content_type) == (204, b"", "")


def test_an_upgrade_is_joined_both_ways_and_keeps_no_credentials(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: SPDY/3.1\r\n\r\n")
        piece = await reader.readexactly(5)
        writer.write(piece.upper())
        await writer.drain()

    async def scenario() -> bytes:
        headers = {
            "connection": "Upgrade, X-Of-This-Hop",
            "upgrade": "SPDY/3.1",
            "authorization": "Bearer secret",
            "sec-websocket-protocol": "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0",
            "x-of-this-hop": "1",
        }
        query = "command=ls&command=-l&stdin=1&stdout=true&tty=0"
        async with world.session(serve, "exec", query, headers) as (reader, writer):
            writer.write(b"hello")
            return await reader.read()

    received = asyncio.run(scenario())
    assert received.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert received.endswith(b"HELLO")
    head = world.heads[0]
    assert head.startswith("GET /exec/default/web/app?command=ls&command=-l&input=1&output=1 HTTP/1.1\r\n")
    assert "secret" not in head
    assert "c2VjcmV0" not in head
    assert "x-of-this-hop: " not in head and "upgrade: SPDY/3.1\r\n" in head
    assert "sec-websocket-protocol: v4.channel.k8s.io\r\n" in head


def test_a_refused_upgrade_is_handed_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    lines = "set-cookie: a=1, b\r\nset-cookie: c=2\r\nconnection: close\r\nx-why: it went\r\ncontent-type: text/x"

    async def scenario() -> Response:
        answer = f"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n{lines}\r\n\r\ngone"
        async with world.kubelet(answering(answer.encode())):
            return await world.ask("portforward", "ports=80", headers=WEBSOCKET)

    response = asyncio.run(scenario())
    assert (response.status, response.body, response.content_type) == (404, b"gone", "text/x")
    assert response.headers == (("set-cookie", "a=1, b"), ("set-cookie", "c=2"), ("x-why", "it went"))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n-5\r\nab",
        b"HTTP/1.1 500 No\r\ncontent-length: \xb2\r\n\r\nab",
        b"HTTP/1.1 500 No\r\ncontent-length: 7\r\n\r\nab",
        b"no HTTP",
    ],
)
def test_a_refusal_that_cannot_be_read_is_a_status_too(tmp_path: Path, answer: bytes) -> None:
    world = World(tmp_path)

    async def scenario() -> None:
        async with world.kubelet(answering(answer)):
            with pytest.raises(StatusError, match="error dialing backend"):
                await world.ask("portforward", "ports=80", headers=WEBSOCKET)

    asyncio.run(scenario())


def test_what_cannot_be_reached_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 1}},
    }
    world.objects.put(core.NODE, {"metadata": {"name": "n1"}, "status": status})
    headers = {"connection": "Upgrade", "upgrade": "websocket"}
    refused = "dial tcp 127.0.0.1:1: connect: connection refused"
    for subresource, query, said in (
        ("exec", "command=ls&stdout=1", f"error dialing backend: {refused}"),
        ("log", "tailLines=1", f'Get "https://127.0.0.1:1/containerLogs/default/web/app?tailLines=1": {refused}'),
    ):
        with pytest.raises(StatusError) as failed:
            asyncio.run(world.ask(subresource, query, headers=headers if subresource == "exec" else {}))
        assert (failed.value.message, failed.value.code, failed.value.reason) == (said, 500, "")


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


def test_metrics_come_from_the_kubelets(tmp_path: Path) -> None:
    world = World(tmp_path)
    pod = world.objects.put(core.POD, {**POD, "metadata": {**POD["metadata"], "labels": {"app": "web"}}})  # type: ignore[dict-item]
    used = {"cpu": {"usageNanoCores": 5000000}, "memory": {"workingSetBytes": 4096}}
    reference = {"name": "web", "namespace": "default", "uid": pod["metadata"]["uid"]}
    summary = orjson.dumps({"node": used, "pods": [{"podRef": reference, "containers": [{"name": "app", **used}]}]})

    async def scenario() -> tuple[Any, Any, Any]:
        metrics = ResourceMetrics(world.objects, Kubelets(world.objects, world.directory), SystemClock()).handlers()

        async def ask(plural: str, **more: str) -> Any:
            attributes = Attributes(ADMIN, "list", "metrics.k8s.io", "v1beta1", plural, **more)
            context = RequestContext(Request("GET", "/"), ADMIN, attributes)
            return orjson.loads((await metrics["metrics.k8s.io", plural, ""](context)).body)

        async with world.kubelet(
            answering(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(summary), summary))
        ):
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
        headers = upgrade_to("v5.channel.k8s.io", authorization="Bearer secret")
        async with world.session(serve, "exec", "command=tr&stdin=1&stdout=1", headers) as (reader, writer):
            for message in (b"\0hello", b"\xff\0"):
                writer.write(bytes((0x82, 0x80 | len(message))) + bytes(4) + message)
            return await reader.read()

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


@pytest.mark.parametrize(
    ("reachable", "said"),
    [
        (True, 'unable to upgrade connection: container not found ("app")'),
        (
            False,
            'error sending request: Post "https://127.0.0.1:1/exec/default/web/app?command=tr&error=1&output=1": '
            "dial tcp 127.0.0.1:1: connect: connection refused",
        ),
    ],
)
def test_a_v5_client_is_told_why_its_command_never_began(tmp_path: Path, reachable: bool, said: str) -> None:
    world = World(tmp_path)
    refusal = b'HTTP/1.1 404 Not Found\r\ncontent-length: 27\r\n\r\ncontainer not found ("app")'

    async def scenario() -> bytes:
        headers = upgrade_to("v5.channel.k8s.io")
        query = "command=tr&stdout=1&stderr=1"
        async with world.session(answering(refusal), "exec", query, headers, reachable) as (reader, _):
            return await reader.read()

    head, _, frames = asyncio.run(scenario()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frames[:3] == b"\x82\x01\x01" and frames[-4:] == b"\x88\x02\x03\xe8"
    message = frames[7:-4]
    assert message[:1] == b"\3"
    status = orjson.loads(message[1:])
    assert (status["status"], status["reason"], status["code"]) == ("Failure", "InternalError", 500)
    assert status["message"] == f"Internal error occurred: {said}"
    assert status["details"]["causes"] == [{"message": said}]


def test_a_tunnelled_port_forward_reaches_the_kubelet_as_spdy(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: SPDY/3.1\r\n\r\n")
        writer.write((await reader.readexactly(5)).upper())
        await writer.drain()

    async def scenario() -> bytes:
        headers = upgrade_to("SPDY/3.1+portforward.k8s.io")
        async with world.session(serve, "portforward", "", headers) as (reader, writer):
            writer.write(b"\x82\x83" + bytes(4) + b"abc" + b"\x82\x82" + bytes(4) + b"de")
            return await reader.read()

    received = asyncio.run(scenario())
    assert b"Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n" in received
    assert received.endswith(b"\x82\x05ABCDE\x88\x02\x03\xe8")
    assert "x-stream-protocol-version: portforward.k8s.io\r\n" in world.heads[0]
