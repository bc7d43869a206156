"""A streamed answer told as WebSocket messages: how a browser, which can open nothing else, follows a log.

The subprotocols are upstream's: `binary.k8s.io` (and none) sends bytes, `base64.binary.k8s.io` base64 text. An empty
message comes first, so that the client knows it is connected. One piece is under way: who reads slowly holds it back.
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import NamedTuple

from kajitori.api.errors import BadRequest
from kajitori.apiserver.http_types import CONNECTION_TAKEN, RequestContext, Response
from kajitori.apiserver.streams.tunnel import wants_upgrade
from kajitori.apiserver.streams.websocket import (
    NORMAL,
    WebSocket,
    WebSocketError,
    handshake,
    is_websocket,
    offered_protocols,
)

_PIECE_BYTES = 4 << 10
_NONE = ""


def _as_base64(piece: bytes) -> bytes:
    return WebSocket.text(base64.b64encode(piece))


_FRAMES: dict[str, Callable[[bytes], bytes]] = {
    _NONE: WebSocket.message,
    "binary.k8s.io": WebSocket.message,
    "base64.binary.k8s.io": _as_base64,
}


class Agreement(NamedTuple):
    """What the client is answered, and how a piece becomes a message."""

    answer: bytes
    framed: Callable[[bytes], bytes]


def agree(context: RequestContext) -> Agreement | None:
    """None for a client that asks for no WebSocket. Raises BadRequest when it asks wrongly."""
    if not (is_websocket(context.headers) and wants_upgrade(context)):
        return None
    offered = offered_protocols(context.headers) or [_NONE]
    protocol = next((name for name in offered if name in _FRAMES), None)
    if protocol is None:
        known = ", ".join(name for name in _FRAMES if name)
        raise BadRequest(f"none of the WebSocket protocols {', '.join(offered)} is spoken here: ask for {known}")
    try:
        return Agreement(handshake(context.headers, protocol), _FRAMES[protocol])
    except WebSocketError as error:
        raise BadRequest(str(error)) from None


async def tell(context: RequestContext, agreement: Agreement, response: Response) -> Response:
    """Send the body of `response` to the client, message by message."""
    reader, writer = await context.take_connection()
    try:
        async with contextlib.aclosing(_pieces(response)) as pieces:
            writer.write(agreement.answer)
            await _until_either_ends(reader, writer, pieces, agreement.framed)
    finally:
        writer.close()
    return CONNECTION_TAKEN


async def _pieces(response: Response) -> AsyncGenerator[bytes]:
    if response.stream is None:
        yield response.body
        return
    async for piece in response.stream:
        yield piece


async def _until_either_ends(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pieces: AsyncIterator[bytes],
    framed: Callable[[bytes], bytes],
) -> None:
    async def send() -> None:
        writer.write(framed(b""))
        async for piece in pieces:
            if piece:
                writer.write(framed(piece))
                await writer.drain()
        writer.write(WebSocket.close(NORMAL))
        await writer.drain()

    tasks = [asyncio.create_task(send()), asyncio.create_task(_listen(reader, writer))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What the client says has no meaning; its pings are answered, its goodbye is heard."""
    socket = WebSocket()
    with contextlib.suppress(OSError, RuntimeError):
        while not socket.closed and (data := await reader.read(_PIECE_BYTES)):
            try:
                for _ in socket.receive(data):
                    pass
            except WebSocketError as error:
                writer.write(WebSocket.close(error.code, str(error)))
                return
            if socket.replies:
                writer.write(bytes(socket.replies))
                socket.replies.clear()
                await writer.drain()
