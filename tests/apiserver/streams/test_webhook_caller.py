import asyncio
import base64
import contextlib
import gzip
import random
import ssl
import time
from pathlib import Path
from typing import ClassVar

import pytest

from kajitori.api import core, discovery
from kajitori.apiserver import pki
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.apiserver.streams.webhook_caller import ANSWER_BYTES_MAX, WebhookCaller
from kajitori.kit.clock import SystemClock
from kajitori.testing.objects import FakeObjects


def serving(folder: Path, name: str) -> tuple[pki.Pair, ssl.SSLContext]:
    """An authority, and what a hook of this name listens with."""
    authority, now_s = pki.create_authority("hook-ca", time.time()), time.time()
    pair = pki.issue_serving(authority, "hook", [name], now_s)
    pki.ensure_pair(folder / "hook", authority, [name], now_s, lambda: pair)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hook.crt", folder / "hook.key")
    return authority, context


def test_a_service_is_reached_at_its_endpoint_under_its_own_name(tmp_path: Path) -> None:
    authority, context = serving(tmp_path, "hook.default.svc")
    objects, heads = FakeObjects(), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        body = await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + body.upper())
        writer.close()

    async def scenario() -> bytes:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        where = {"name": "hook", "namespace": "default"}
        objects.put(core.SERVICE, {"metadata": where, "spec": {"ports": [{"port": 443}]}})
        labels = {"kubernetes.io/service-name": "hook"}
        endpoints = [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}]
        meta = {"name": "hook-1", "namespace": "default", "labels": labels}
        objects.put(discovery.ENDPOINT_SLICE, {"metadata": meta, "ports": [{"port": port}], "endpoints": endpoints})
        caller = WebhookCaller(objects, ServiceEndpoints(objects, random.Random(1)), SystemClock())
        config = {"service": {**where, "path": "/check"}, "caBundle": base64.b64encode(authority.certificate).decode()}
        try:
            answer = await caller.call(config, b"hi", 5)
            other = base64.b64encode(pki.create_authority("other", time.time()).certificate).decode()
            with pytest.raises(CallFailed, match=r"https://hook\.default\.svc:443/check"):
                await caller.call({**config, "caBundle": other}, b"hi", 5)
            return answer
        finally:
            server.close()

    assert asyncio.run(scenario()) == b"HI"
    assert heads[0].startswith("POST /check?timeout=5s HTTP/1.1\r\nhost: hook.default.svc\r\n")


def test_a_connection_is_kept_for_the_next_call_and_replaced_when_it_died(tmp_path: Path) -> None:
    authority, context = serving(tmp_path, "127.0.0.1")
    connections: list[asyncio.StreamWriter] = []
    answers = [b"1", b"2", b"3" * (ANSWER_BYTES_MAX + 1), b"4"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                body = answers.pop(0)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        config = {"url": url, "caBundle": base64.b64encode(authority.certificate).decode()}
        objects = FakeObjects()
        caller = WebhookCaller(objects, ServiceEndpoints(objects, random.Random(1)), SystemClock())
        assert await caller.call(config, b"", 5) == b"1"
        assert await caller.call(config, b"", 5) == b"2"
        assert len(connections) == 1
        with pytest.raises(CallFailed, match="the answer is longer than"):
            await caller.call(config, b"", 5)
        assert await caller.call(config, b"", 5) == b"4"
        assert len(connections) == 2
        missing = {"service": {"name": "a", "namespace": "b", "path": "/c"}}
        with pytest.raises(CallFailed) as failed:
            await caller.call(missing, b"", 5)
        assert str(failed.value) == 'Post "https://a.b.svc:443/c?timeout=5s": service "a" not found'
        caller.close()
        server.close()

    asyncio.run(scenario())


def test_it_asks_again_when_it_was_told_to_and_reads_what_is_packed(tmp_path: Path) -> None:
    authority, context = serving(tmp_path, "127.0.0.1")
    packed, bomb = gzip.compress(b"yes"), gzip.compress(b"x" * (ANSWER_BYTES_MAX + 1))
    answers = [
        b"HTTP/1.1 429 Too Many\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 503 Away\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(packed), packed),
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%b" % (len(bomb), bomb),
        b"HTTP/1.1 503 Away\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 204 Nothing\r\ncontent-type: text/plain\r\n\r\n",
        b"HTTP/1.1 307 Elsewhere\r\nlocation: /y\r\ncontent-length: 0\r\n\r\n",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n{}\n"):
                if not answers:
                    writer.close()
                    return
                writer.write(answers.pop(0))

    class Hasty(SystemClock):
        slept: ClassVar[list[float]] = []

        async def sleep(self, duration_s: float) -> None:
            self.slept.append(duration_s)

    async def scenario() -> list[str]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        config = {"url": url, "caBundle": base64.b64encode(authority.certificate).decode()}
        objects = FakeObjects()
        caller = WebhookCaller(objects, ServiceEndpoints(objects, random.Random(1)), Hasty())
        assert await caller.call(config, b"{}", 5) == b"yes"
        failures = []
        for _ in range(5):
            with pytest.raises(CallFailed) as failed:
                await caller.call(config, b"{}", 5)
            failures.append(str(failed.value))
        caller.close()
        server.close()
        with pytest.raises(CallFailed, match=r"dial tcp 127\.0\.0\.1:1: connect: connection refused"):
            await caller.call({**config, "url": "https://127.0.0.1:1/"}, b"{}", 5)
        return failures

    too_long, away, nothing, elsewhere, gone = asyncio.run(scenario())
    assert Hasty.slept == [3, 0]
    assert "the answer is longer than" in too_long
    assert away == "the server is currently unable to handle the request"
    assert nothing == "0-length response with status code: 204 and content type: text/plain"
    assert elsewhere == "the server responded with the status code 307 but did not return more information"
    assert gone.endswith(": EOF")
