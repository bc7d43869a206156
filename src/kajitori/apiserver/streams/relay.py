"""An ordinary request handed to a backend, its answer streamed back piece by piece."""

from collections.abc import AsyncIterator, Mapping

from kajitori.api.errors import InternalError, ServiceUnavailable
from kajitori.apiserver.http_types import Response
from kajitori.apiserver.streams.dial_words import dial_words
from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.idle_connections import IdleConnections
from kajitori.client.interface import Disconnected
from kajitori.client.transport import SAFE_METHODS
from kajitori.client.wire import read_all
from kajitori.kit.clock import SystemClock

# Headers of an answer that say something about this hop alone, or that this server says itself.
_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "date", "content-type"))


def handed_on(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers of a backend's answer as the client gets them, each cookie in a line of its own."""
    return tuple(
        (name, each)
        for name, value in headers.items()
        if name not in _HOP
        for each in (value.split("\n") if name == "set-cookie" else (value,))
    )


async def relay(
    address: Address,
    method: str,
    target: str,
    headers: Mapping[str, str | tuple[str, ...]],
    body: bytes = b"",
    idle: IdleConnections | None = None,
) -> Response:
    """Reads go over connections of `idle`, where that is given; a write must not meet one that has just died.

    Raises ServiceUnavailable when the backend cannot be reached.
    """
    sent = {"host": str(address), **headers, "content-length": str(len(body))}
    if idle is None or method not in SAFE_METHODS:
        idle, sent["connection"] = IdleConnections(SystemClock(), 0), "close"
    try:
        head = encode_head(method, target, sent)
        connection, status, answered = await idle.request(address, head, body, again=True)
    except Disconnected as error:
        raise ServiceUnavailable(f"error trying to reach service: {dial_words(address, error)}") from error
    kept = handed_on(answered)
    content_type = answered.get("content-type", "")
    if method == "HEAD":
        connection.close()  # its answer has no body, whatever length it says
        return Response(status, b"", content_type, kept)
    if status in (204, 304):
        idle.keep(connection, address)
        return Response(status, b"", content_type, kept)
    return Response(
        status, content_type=content_type or "text/plain", headers=kept, stream=_Body(connection, address, idle)
    )


class _Body(AsyncIterator[bytes]):
    """What the backend answers, piece by piece. Its connection is kept when all was read, and closed when the reader
    has gone, or never came: nobody else knows of it."""

    def __init__(self, connection: Connection, address: Address, idle: IdleConnections) -> None:
        self._connection = connection
        self._address = address
        self._idle = idle
        self._pieces = connection.pieces()
        self._over = False

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self._over = True
            self._idle.keep(self._connection, self._address)
            raise
        except Disconnected:
            await self.aclose()
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            self._connection.close()

    def __del__(self) -> None:
        if not self._over:
            self._connection.close()


async def fetch(address: Address, target: str) -> bytes:
    """The whole body of a GET. Raises ServiceUnavailable, InternalError."""
    response = await relay(address, "GET", target, {"accept": "application/json"})
    body = await read_all(response.stream) if response.stream is not None else b""
    if response.status != 200:
        raise InternalError(f"{address}{target} answered {response.status}")
    return body
