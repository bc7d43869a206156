"""An ordinary request handed to a backend, its answer streamed back piece by piece."""

from collections.abc import AsyncIterator, Mapping

from kajitori.api.errors import InternalError, ServiceUnavailable
from kajitori.apiserver.http_types import Response
from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.idle_connections import IdleConnections
from kajitori.client.interface import Disconnected
from kajitori.client.transport import SAFE_METHODS
from kajitori.client.wire import read_all
from kajitori.kit.clock import SystemClock

# Headers of an answer that say something about this hop alone.
_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "date", "content-type"))


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
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    kept = tuple((name, value) for name, value in answered.items() if name not in _HOP)
    content_type = answered.get("content-type", "")
    if method == "HEAD":
        connection.close()  # its answer has no body, whatever length it says
        return Response(status, b"", content_type, kept)
    if status in (204, 304):
        idle.keep(connection, address)
        return Response(status, b"", content_type, kept)
    return Response(
        status, content_type=content_type or "text/plain", headers=kept, stream=_body(connection, address, idle)
    )


async def _body(connection: Connection, address: Address, idle: IdleConnections) -> AsyncIterator[bytes]:
    whole = False
    try:
        async for piece in connection.pieces():
            yield piece
        whole = True
    except Disconnected:
        return
    finally:
        if whole:
            idle.keep(connection, address)
        else:
            connection.close()


async def fetch(address: Address, target: str) -> bytes:
    """The whole body of a GET. Raises ServiceUnavailable, InternalError."""
    response = await relay(address, "GET", target, {"accept": "application/json"})
    body = await read_all(response.stream) if response.stream is not None else b""
    if response.status != 200:
        raise InternalError(f"{address}{target} answered {response.status}")
    return body
