"""A streamed answer told as WebSocket messages: how a browser, which can open nothing else, follows a log or a watch.

The subprotocols are upstream's: `binary.k8s.io` (and none) sends bytes, `base64.binary.k8s.io` base64 text. An empty
message comes first in a log, so that the client knows it is connected. A watch is a message an event, of text whatever
the client calls its protocol, as upstream has it. Who reads slowly holds back what is told.
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, NamedTuple

from kajitori.api.errors import BadRequest
from kajitori.apiserver.http_types import CONNECTION_TAKEN, RequestContext, Response, Sink, Source
from kajitori.apiserver.streams.tunnel import is_token, wants_upgrade
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


Framed = Callable[[bytes], bytes]
_BYTES: Mapping[str, Framed] = {"binary.k8s.io": WebSocket.message, "base64.binary.k8s.io": _as_base64}
_LOG: Mapping[str, Framed] = {_NONE: WebSocket.message, **_BYTES}


class Agreement(NamedTuple):
    """What the client is answered, and how a piece becomes a message."""

    answer: bytes
    framed: Framed


def agree(context: RequestContext) -> Agreement | None:
    """On a log. None for a client that asks for no WebSocket. Raises BadRequest when it asks wrongly."""
    if not _asks(context):
        return None
    offered = _offered(context) or [_NONE]
    protocol = next((name for name in offered if name in _LOG), None)
    if protocol is None:
        known = ", ".join(_BYTES)
        raise BadRequest(f"none of the WebSocket protocols {', '.join(offered)} is spoken here: ask for {known}")
    return _agreement(context, protocol, _LOG[protocol])


def agree_on_events(context: RequestContext) -> Agreement | None:
    """On a watch. None for a client that asks for no WebSocket. Raises BadRequest when it asks wrongly."""
    if not _asks(context):
        return None
    protocol = next(iter(_offered(context)), _NONE)
    return _agreement(context, protocol, _BYTES.get(protocol, WebSocket.text))


def _asks(context: RequestContext) -> bool:
    return is_websocket(context.headers) and wants_upgrade(context)


def _offered(context: RequestContext) -> list[str]:
    """A browser's token is no protocol."""
    return [name for name in offered_protocols(context.headers) if not is_token(name)]


def _agreement(context: RequestContext, protocol: str, framed: Framed) -> Agreement:
    try:
        return Agreement(handshake(context.headers, protocol), framed)
    except WebSocketError as error:
        raise BadRequest(str(error)) from None


async def tell(context: RequestContext, agreement: Agreement, response: Response) -> Response:
    """Send the body of `response` to the client, message by message."""
    async with contextlib.aclosing(_pieces(response)) as pieces:
        reader, writer = await context.take_connection()
        try:
            writer.write(agreement.answer)
            await _until_either_ends(_tell(writer, pieces, agreement.framed), _listen(reader, writer))
        finally:
            writer.close()
    return CONNECTION_TAKEN


async def tell_events(context: RequestContext, agreement: Agreement, source: Source) -> Response:
    """Begin to send the client each line of a watch. Returns at once: the watch is no request that is under way."""
    try:
        reader, writer = await context.take_connection()
    except BaseException:
        source.stop()
        raise
    writer.write(agreement.answer)
    Events(reader, writer, agreement.framed, source).begin()
    return CONNECTION_TAKEN


class Events(Sink):
    """A watch on its way to a WebSocket. What waits is bounded by the transport's limit and the watch's own."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framed: Framed, source: Source
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._framed = framed
        self._source = source
        self._news = asyncio.Event()
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        """Held by the watch, which holds this, until it ends."""

    def begin(self) -> None:
        self._task = asyncio.create_task(self._run(), name="a watch over WebSocket")

    # as the watch sees it

    @property
    def writable(self) -> bool:
        transport = self._writer.transport
        return transport.get_write_buffer_size() <= transport.get_write_buffer_limits()[1]

    def write(self, chunk: bytes) -> None:
        if self._ended:
            return
        self._writer.write(self._framed(chunk))
        if not self.writable:
            self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    # the work

    async def _run(self) -> None:
        try:
            await _until_either_ends(self._feed(), _listen(self._reader, self._writer))
        finally:
            self._ended = True
            self._source.stop()
            self._writer.close()

    async def _feed(self) -> None:
        with contextlib.suppress(OSError):
            self._source.start(self)
            while not self._ended:
                await self._news.wait()
                self._news.clear()
                await self._writer.drain()
                self._source.resume()
            self._writer.write(WebSocket.close(NORMAL))
            await self._writer.drain()


async def _pieces(response: Response) -> AsyncGenerator[bytes]:
    if response.stream is None:
        yield response.body
        return
    async for piece in response.stream:
        yield piece


async def _tell(writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes], framed: Framed) -> None:
    writer.write(framed(b""))
    async for piece in pieces:
        if piece:
            writer.write(framed(piece))
            await writer.drain()
    writer.write(WebSocket.close(NORMAL))
    await writer.drain()


async def _until_either_ends(*sides: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.create_task(side) for side in sides]
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
