"""WATCH over WebSocket: a message an event, on a real connection to a whole server."""

import asyncio
import base64
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from kajitori.api import core
from kajitori.testing.cluster import ControlPlane

Scenario = Callable[[ControlPlane], Awaitable[None]]
PATH = "/api/v1/namespaces/default/configmaps"
TEXT, BINARY, CLOSE = 1, 2, 8


def config_map(name: str, text: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"text": text},
    }


class Browser:
    """A client's end, as far as RFC 6455 asks for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self.reader = reader
        self.writer = writer
        self.head = head

    @classmethod
    async def open(cls, plane: ControlPlane, query: str = "", protocols: str = "", **headers: str) -> "Browser":
        port = await plane.server.serve("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = {
            "host": "a",
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            **({"sec-websocket-protocol": protocols} if protocols else {}),
            **headers,
        }
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
        writer.write(f"GET {PATH}?watch=true{query} HTTP/1.1\r\n{head}\r\n".encode())
        return cls(reader, writer, (await reader.readuntil(b"\r\n\r\n")).decode())

    async def message(self) -> tuple[int, bytes]:
        first, size = await self.reader.readexactly(2)
        assert first & 0x80, "events are not split"
        if size >= 126:
            form = "!H" if size == 126 else "!Q"
            (size,) = struct.unpack(form, await self.reader.readexactly(struct.calcsize(form)))
        return first & 0x0F, await self.reader.readexactly(size)

    async def event(self) -> tuple[str, str]:
        """Type and name."""
        kind, text = await self.message()
        assert kind == TEXT and text.endswith(b"\n")
        event = orjson.loads(text)
        return event["type"], event["object"]["metadata"]["name"]

    def say(self, opcode: int, payload: bytes = b"") -> None:
        self.writer.write(bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload)


def watchers(plane: ControlPlane) -> int:
    return plane.server.cache.kind(core.CONFIG_MAP).watcher_count


def test_each_event_is_a_message_of_text(in_cluster: Callable[[Scenario], None]) -> None:
    async def scenario(plane: ControlPlane) -> None:
        await plane.add(config_map("a"))
        browser = await Browser.open(plane, protocols="base64url.bearer.authorization.k8s.io.c2VjcmV0, any.example")
        assert browser.head.startswith("HTTP/1.1 101 ")
        assert "Sec-WebSocket-Protocol: any.example\r\n" in browser.head
        assert await browser.event() == ("ADDED", "a")
        await plane.add(config_map("b", "x" * 70_000))
        assert await browser.event() == ("ADDED", "b")
        browser.writer.close()

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("protocol", "opcode", "decode"),
    [("binary.k8s.io", BINARY, bytes), ("base64.binary.k8s.io", TEXT, base64.b64decode)],
)
def test_a_protocol_of_bytes_is_kept_to(
    in_cluster: Callable[[Scenario], None], protocol: str, opcode: int, decode: Callable[[bytes], bytes]
) -> None:
    async def scenario(plane: ControlPlane) -> None:
        await plane.add(config_map("a"))
        browser = await Browser.open(plane, protocols=protocol)
        kind, payload = await browser.message()
        assert kind == opcode
        assert orjson.loads(decode(payload))["object"]["metadata"]["name"] == "a"
        browser.writer.close()

    in_cluster(scenario)


def test_the_watch_ends_with_its_time_and_says_so(in_cluster: Callable[[Scenario], None]) -> None:
    async def scenario(plane: ControlPlane) -> None:
        browser = await Browser.open(plane, "&timeoutSeconds=5")
        assert watchers(plane) == 1
        await plane.virtual.advance(5)
        assert await browser.message() == (CLOSE, b"\x03\xe8")
        assert await browser.reader.read() == b""
        assert watchers(plane) == 0
        browser.writer.close()

    in_cluster(scenario)


@pytest.mark.parametrize("polite", [True, False])
def test_a_browser_that_leaves_is_watched_for_no_more(in_cluster: Callable[[Scenario], None], polite: bool) -> None:
    async def scenario(plane: ControlPlane) -> None:
        browser = await Browser.open(plane)
        if polite:
            browser.say(CLOSE)
            assert await browser.message() == (CLOSE, b"")
            assert await browser.reader.read() == b""
        browser.writer.close()
        for _ in range(1000):
            if not watchers(plane):
                break
            await asyncio.sleep(0.001)
        assert watchers(plane) == 0

    in_cluster(scenario)


def test_what_a_slow_browser_has_not_read_waits_for_it(in_cluster: Callable[[Scenario], None]) -> None:
    async def scenario(plane: ControlPlane) -> None:
        for number in range(12):
            await plane.add(config_map(f"c{number:02}", "x" * 1_000_000))
        browser = await Browser.open(plane)
        await plane.add(config_map("last"))
        names = [(await browser.event())[1] for _ in range(13)]
        assert names == [*(f"c{number:02}" for number in range(12)), "last"]
        browser.writer.close()

    in_cluster(scenario)


def test_a_handshake_that_is_none_gets_a_status_and_begins_no_watch(in_cluster: Callable[[Scenario], None]) -> None:
    async def scenario(plane: ControlPlane) -> None:
        browser = await Browser.open(plane, sec_websocket_version="8")
        assert browser.head.startswith("HTTP/1.1 400 ")
        assert watchers(plane) == 0
        browser.writer.close()

    in_cluster(scenario)


def test_another_upgrade_is_declined_and_the_watch_streams(in_cluster: Callable[[Scenario], None]) -> None:
    async def scenario(plane: ControlPlane) -> None:
        browser = await Browser.open(plane, upgrade="h2c")
        assert browser.head.startswith("HTTP/1.1 200 ") and "chunked" in browser.head
        browser.writer.close()

    in_cluster(scenario)
