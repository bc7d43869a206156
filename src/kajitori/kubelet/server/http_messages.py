"""Requests and answers of the node's API: HTTP/1.1, one request a connection."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

HEAD_BYTES_MAX = 64 * 1024


class BadMessage(Exception):
    """Not HTTP, or more of it than is allowed."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def wants_upgrade(self) -> bool:
        return "upgrade" in self.header("connection").lower()

    def flag(self, name: str) -> bool:
        return (self.query.get(name) or [""])[0].lower() in ("1", "true")

    def value(self, name: str) -> str:
        return (self.query.get(name) or [""])[0]


@dataclass(frozen=True, slots=True)
class Failure(Exception):
    """An answer that is an error; plain text, as the kubelet's API has it."""

    status: HTTPStatus
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


def parse_head(head: bytes) -> Request:
    try:
        lines = head.decode("latin-1").split("\r\n")
        method, target, version = lines[0].split(" ")
        url = urlsplit(target)
        headers = tuple((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:] if line))
    except ValueError:
        raise BadMessage("the request line is not one") from None
    if not version.startswith("HTTP/1."):
        raise BadMessage(f"{version} is not spoken here")
    return Request(method, url.path, parse_qs(url.query, keep_blank_values=True), headers)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """None when the peer closed without a word."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise BadMessage("the request ended early") from None
    except asyncio.LimitOverrunError:
        raise BadMessage("the request head is too long") from None
    return parse_head(head[:-4])


def head_of(status: HTTPStatus, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def send_answer(writer: asyncio.StreamWriter, answer: Answer) -> None:
    headers = {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        "Connection": "close",
        **answer.headers,
    }
    writer.write(head_of(answer.status, headers) + answer.body)
    await writer.drain()


class ChunkedBody:
    """A body whose length is not known ahead; `send` waits while the peer is slow."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def begin(self, content_type: str = "text/plain; charset=utf-8") -> None:
        headers = {"Content-Type": content_type, "Transfer-Encoding": "chunked", "Connection": "close"}
        self._writer.write(head_of(HTTPStatus.OK, headers))
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        if data:
            self._writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await self._writer.drain()

    async def end(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
