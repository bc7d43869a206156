"""A client's WebSocket joined to a kubelet that speaks SPDY: the shell around `wires`.

At most one piece of 64 KiB a direction is under way beside the transports' own buffers, and one incomplete message:
who reads slowly holds back who writes. Replies that are owed without being asked for (pongs) are not waited for; a side
that makes us owe more than `OWED_BYTES_MAX` without reading is hung up on.
"""

import asyncio
import contextlib

from kajitori.api.errors import BadRequest, StatusError
from kajitori.apiserver.http_types import CONNECTION_TAKEN, RequestContext, Response
from kajitori.apiserver.streams.dial_words import dial_words
from kajitori.apiserver.streams.tunnel import Ends, not_dialled, upgraded
from kajitori.apiserver.streams.websocket import WebSocketError, handshake
from kajitori.apiserver.streams.wires import TUNNELLED, V4, RemoteCommand, Wire
from kajitori.client.connection import Address
from kajitori.client.interface import Disconnected

OWED_BYTES_MAX = 1 << 20
_PIECE_BYTES = 64 << 10


async def translate(context: RequestContext, address: Address, target: str, protocol: str, wire: Wire) -> Response:
    """Ask the kubelet for SPDY; when it agrees, answer the client's `protocol`, and carry until either ends. Where it
    cannot be reached or declines, whose command it is has that told as its end; others get a plain answer."""
    try:
        agreed = handshake(context.headers, protocol)
    except WebSocketError as error:
        raise BadRequest(str(error)) from None
    spoken = protocol.removeprefix(TUNNELLED) if protocol.startswith(TUNNELLED) else V4
    headers = {
        "host": str(address),
        "connection": "Upgrade",
        "upgrade": "SPDY/3.1",
        "x-stream-protocol-version": spoken,
        "content-length": "0",
    }
    try:
        answer = await upgraded(address, "POST", target, headers)
    except (StatusError, OSError, EOFError, Disconnected) as error:
        if isinstance(wire, RemoteCommand):
            why = dial_words(address, error.__cause__ or error)
            return await _refuse(
                context, agreed, wire, f'error sending request: Post "https://{address}{target}": {why}'
            )
        raise error if isinstance(error, StatusError) else not_dialled(address, error) from error
    if isinstance(answer, Response):
        if isinstance(wire, RemoteCommand):
            said = answer.body.decode(errors="replace").strip()
            return await _refuse(context, agreed, wire, f"unable to upgrade connection: {said}")
        return answer
    backend, _ = answer
    try:
        client = await context.take_connection()
        client[1].write(agreed)
        await _carry(client, backend, wire)
    except OSError as error:
        raise not_dialled(address, error) from error
    finally:
        backend[1].close()
    return CONNECTION_TAKEN


async def _refuse(context: RequestContext, agreed: bytes, wire: RemoteCommand, why: str) -> Response:
    _, writer = await context.take_connection()
    wire.refuse(why)
    writer.write(agreed + bytes(wire.to_client))
    with contextlib.suppress(OSError):
        await writer.drain()
    writer.close()
    return CONNECTION_TAKEN


async def _carry(client: Ends, backend: Ends, wire: Wire) -> None:
    def flush() -> None:
        for (_, writer), waiting in ((client, wire.to_client), (backend, wire.to_backend)):
            if waiting:
                writer.write(bytes(waiting))
                waiting.clear()

    async def from_client() -> None:
        with contextlib.suppress(OSError):
            while not wire.over and (piece := await client[0].read(_PIECE_BYTES)):
                wire.from_client(piece)
                flush()
                if client[1].transport.get_write_buffer_size() > OWED_BYTES_MAX:
                    client[1].transport.abort()
                    return
                await backend[1].drain()

    async def from_backend() -> None:
        with contextlib.suppress(OSError):
            while not wire.over and (piece := await backend[0].read(_PIECE_BYTES)):
                wire.from_backend(piece)
                flush()
                if backend[1].transport.get_write_buffer_size() > OWED_BYTES_MAX:
                    return
                await client[1].drain()
        wire.backend_ended()
        flush()

    tasks = [asyncio.create_task(from_client()), asyncio.create_task(from_backend())]
    flush()
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        flush()
        client[1].close()
        backend[1].close()
