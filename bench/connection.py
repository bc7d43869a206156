"""A client that costs little beside the server it measures: HTTP/1.1 over TLS, answers counted but not decoded."""

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Target:
    """A server and the token to come with. TLS is not verified: a benchmark tells no secrets."""

    def __init__(self, server: str, token: str) -> None:
        url = urlsplit(server)
        self.host, self.port = url.hostname or "127.0.0.1", url.port or 443
        self._head = f"Host: {url.netloc}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        return f"{method} {path} HTTP/1.1\r\n{self._head}{content}\r\n".encode() + body

    async def open(self, connection: "Connection") -> "Connection":
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: connection, self.host, self.port, ssl=self.tls)
        return connection


class Connection(asyncio.Protocol):
    """`answered(status, size)` is called for every answer, `piece(data)` for whatever a watch brings."""

    def __init__(self, answered: Callable[[int, int], None], piece: Callable[[bytes], None] | None = None) -> None:
        self._answered = answered
        self._piece = piece
        self._head = b""
        self._status = 0
        self._size = 0
        self._missing = -1
        self._tail = b""
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(exc)

    def send(self, request: bytes) -> None:
        self._status = 0
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data, self._head = self._head[:end].lower(), self._head[end + 4 :], b""
            self._status = int(head[9:12])
            at = head.find(b"content-length:")
            self._missing = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
            self._size, self._tail = 0, b"\r\n"
        if self._missing < 0 and self._piece is not None:
            self._piece(data)
            return
        self._size += len(data)
        if self._missing < 0:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
        if self._size == self._missing or self._tail == _LAST_CHUNK:
            self._answered(self._status, self._size)


class Clients:
    """Several connections, each sending its next request as soon as the last is answered."""

    def __init__(self, target: Target, count: int) -> None:
        self._target = target
        self._count = count
        self.latencies_s: list[float] = []
        self.bytes = 0
        self.statuses: dict[int, int] = {}

    async def run(self, make: Callable[[], bytes | None]) -> float:
        """Until `make` has no more requests; returns the seconds it took."""
        began_s = time.perf_counter()
        await asyncio.gather(*(self._client(make) for _ in range(self._count)))
        return time.perf_counter() - began_s

    async def _client(self, make: Callable[[], bytes | None]) -> None:
        done = asyncio.get_running_loop().create_future()
        sent_s = 0.0

        def answered(status: int, size: int) -> None:
            nonlocal sent_s
            now_s = time.perf_counter()
            self.latencies_s.append(now_s - sent_s)
            self.bytes += size
            self.statuses[status] = self.statuses.get(status, 0) + 1
            request = make()
            if request is None:
                done.set_result(None)
            else:
                sent_s = now_s
                connection.send(request)

        connection = await self._target.open(Connection(answered))
        if (first := make()) is not None:
            sent_s = time.perf_counter()
            connection.send(first)
            await asyncio.wait((done, connection.lost), return_when=asyncio.FIRST_COMPLETED)
        connection.transport.close()
