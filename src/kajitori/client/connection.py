"""One HTTP/1.1 connection over TCP or TLS: a request at a time, its answer as headers and then pieces of body."""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import cast

import httptools

from kajitori.client.interface import Disconnected

# Body bytes held for a slow reader before the socket is no longer read: TCP then holds back the server.
BUFFER_BYTES_MAX = 1 << 20
HEADER_BYTES_MAX = 64 << 10
# A peer that vanished without a word is noticed within 15 + 3 * 5 seconds, so that a watch cannot hang for ever.
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect. `tls` None speaks plain HTTP; `server_name` is what the certificate must say."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Connection(asyncio.Protocol):
    """`request` sends and returns the head of the answer; `read` gives its body piece by piece, b"" at the end."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: Disconnected | None = None
        self._reset()
        self.requests = 0
        self.answered = False
        """Whether any byte of an answer to the request under way has come."""
        self.idle_since_s = 0.0

    @classmethod
    async def open(cls, address: Address) -> "Connection":
        """Raises Disconnected."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: cls(address),
                address.host,
                address.port,
                ssl=address.tls,
                server_hostname=(address.server_name or address.host) if address.tls else None,
            )
        except OSError as error:
            raise Disconnected(f"{address}: cannot connect: {_reason(error)}") from error
        return connection

    async def request(self, head: bytes, body: bytes) -> tuple[int, dict[str, str]]:
        """Send, and wait for the answer's status and lower-case headers: of a repeated one the values joined by ", ",
        but cookies, which may contain a comma, by a newline. Raises Disconnected."""
        self._reset()
        self.requests += 1
        if self._transport is None or self._transport.is_closing():
            raise self._error or Disconnected(f"{self._address}: the connection is closed")
        self._transport.write(head + body)
        while not self._headers_complete:
            await self._wait()
        return self._parser.get_status_code(), self._headers

    async def _read(self) -> bytes:
        """The next piece of the body, b"" when it is complete."""
        while not self._chunks:
            if self._complete:
                return b""
            await self._wait()
        chunk = self._chunks.popleft()
        self._buffered_bytes -= len(chunk)
        if self._paused and self._buffered_bytes < BUFFER_BYTES_MAX // 2 and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Disconnected."""
        while piece := await self._read():
            yield piece

    @property
    def reusable(self) -> bool:
        open_ = self._transport is not None and not self._transport.is_closing() and self._error is None
        return open_ and self._complete and self._keep_alive

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's TLS transport is one in all but its bases
        if (sock := transport.get_extra_info("socket")) is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        self.answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not an HTTP answer: {error}")
            self.close()
        if not self._headers_complete:
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES_MAX:
                self._fail(f"more than {HEADER_BYTES_MAX} bytes of headers")
                self.close()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        if self._headers_complete and not self._framed and error is None:
            # No length and no chunks: the end of the connection is the end of the body (RFC 9112, 6.3).
            self._complete = True
        self._fail(_reason(error) if isinstance(error, OSError) else "the server closed the connection")
        self._wake()

    # httptools calls these

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if (before := self._headers.get(key)) is not None and key != "content-type":
            text = before + ("\n" if key == "set-cookie" else ", ") + text
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self._headers.clear()
            return
        self._headers_complete = True
        self._keep_alive = self._parser.should_keep_alive()
        self._framed = "content-length" in self._headers or "transfer-encoding" in self._headers

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered_bytes += len(body)
        if self._buffered_bytes > BUFFER_BYTES_MAX and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._headers_complete:
            self._complete = True

    # inside

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self._headers_complete = False
        self._framed = False
        self._keep_alive = False
        self._complete = False
        self.answered = False

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, reason: str) -> None:
        if self._error is None:
            self._error = Disconnected(f"{self._address}: {reason}")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__


def encode_head(method: str, target: str, headers: Mapping[str, str | tuple[str, ...]]) -> bytes:
    """A header of several values gets a line for each."""
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        lines += [f"{name}: {value}"] if isinstance(value, str) else [f"{name}: {each}" for each in value]
    return "\r\n".join((*lines, "", "")).encode("latin-1")
