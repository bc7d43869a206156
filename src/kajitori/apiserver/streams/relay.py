"""An ordinary request handed to a backend, its answer streamed back piece by piece."""

from collections.abc import AsyncIterator, Mapping

from kajitori.api.errors import InternalError, ServiceUnavailable
from kajitori.apiserver.http_types import Response
from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.interface import Disconnected
from kajitori.client.wire import read_all

# Headers of an answer that say something about this hop alone.
_HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "date", "content-type"))


async def relay(
    address: Address, method: str, target: str, headers: Mapping[str, str | tuple[str, ...]], body: bytes = b""
) -> Response:
    """Raises ServiceUnavailable when the backend cannot be reached."""
    connection: Connection | None = None
    sent = {"host": str(address), **headers, "connection": "close", "content-length": str(len(body))}
    try:
        connection = await Connection.open(address)
        status, answered = await connection.request(encode_head(method, target, sent), body)
    except Disconnected as error:
        if connection is not None:
            connection.close()
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    kept = tuple((name, value) for name, value in answered.items() if name not in _HOP)
    content_type = answered.get("content-type", "")
    if method == "HEAD" or status in (204, 304):
        connection.close()
        return Response(status, b"", content_type, kept)
    return Response(status, content_type=content_type or "text/plain", headers=kept, stream=_body(connection))


async def _body(connection: Connection) -> AsyncIterator[bytes]:
    try:
        async for piece in connection.pieces():
            yield piece
    except Disconnected:
        return
    finally:
        connection.close()


async def fetch(address: Address, target: str) -> bytes:
    """The whole body of a GET. Raises ServiceUnavailable, InternalError."""
    response = await relay(address, "GET", target, {"accept": "application/json"})
    body = await read_all(response.stream) if response.stream is not None else b""
    if response.status != 200:
        raise InternalError(f"{address}{target} answered {response.status}")
    return body
