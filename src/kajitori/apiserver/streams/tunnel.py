"""An upgraded connection passed through byte by byte: what is spoken on it (SPDY/3.1, WebSocket) is not our business.

Each direction holds one piece of 64 KiB at most beside the transports' own buffers: a slow reader holds back a writer.
"""

import asyncio
import contextlib
import socket
from collections.abc import Mapping

from kajitori.api.errors import StatusError
from kajitori.apiserver.http_types import CONNECTION_TAKEN, RequestContext, Response
from kajitori.apiserver.streams.dial_words import dial_words
from kajitori.apiserver.streams.relay import handed_on
from kajitori.client.connection import KEEPALIVE, Address, encode_head
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import SystemClock, within

DIAL_TIMEOUT_S = 30.0
"""For a connection to a backend, TLS included (upstream's)."""

_PIECE_BYTES = 64 << 10
_REFUSAL_BYTES_MAX = 1 << 20
# What a backend must not see, or what belongs to one hop only.
_NOT_FORWARDED = frozenset(
    ("authorization", "host", "content-length", "transfer-encoding", "keep-alive", "te", "trailer", "expect")
)
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."


def is_token(protocol: str) -> bool:
    """Whether a name among the WebSocket protocols is how a browser sends its bearer token."""
    return protocol.startswith(_TOKEN_PROTOCOL)


def wants_upgrade(context: RequestContext) -> bool:
    tokens = (token.strip().lower() for token in context.headers.get("connection", "").split(","))
    return "upgrade" in tokens and bool(context.headers.get("upgrade"))


def forwarded_headers(headers: Mapping[str, str], host: str) -> dict[str, str]:
    """The client's headers without its credentials, and without what it calls a matter of its own connection."""
    named = {token.strip().lower() for token in headers.get("connection", "").split(",")} - {"upgrade"}
    kept = {
        name: value
        for name, value in headers.items()
        if name not in _NOT_FORWARDED and name not in named and not name.startswith(("impersonate-", "proxy-"))
    }
    if protocols := kept.get("sec-websocket-protocol"):
        names = [name.strip() for name in protocols.split(",")]
        kept["sec-websocket-protocol"] = ", ".join(n for n in names if not is_token(n))
    return {"host": host, **kept}


async def pass_through(
    context: RequestContext,
    address: Address,
    target: str,
    headers: Mapping[str, str | tuple[str, ...]] | None = None,
) -> Response:
    """Ask the backend for the same upgrade; when it agrees, join the two connections until either ends. `headers` are
    sent in place of the client's own without its credentials."""
    sent = headers if headers is not None else forwarded_headers(context.headers, str(address))
    try:
        answer = await upgraded(address, context.method, target, sent)
        if isinstance(answer, Response):
            return answer
        backend, head = answer
        try:
            client = await context.take_connection()
            client[1].write(head)
            await join(client, backend)
        finally:
            backend[1].close()
        return CONNECTION_TAKEN
    except (OSError, EOFError, Disconnected) as error:
        raise not_dialled(address, error) from error


def not_dialled(address: Address, error: BaseException) -> StatusError:
    """Upstream answers 500 without a reason."""
    return StatusError(f"error dialing backend: {dial_words(address, error)}")


async def upgraded(
    address: Address, method: str, target: str, headers: Mapping[str, str | tuple[str, ...]]
) -> tuple[Ends, bytes] | Response:
    """The backend's upgraded connection and the head of its answer; its answer alone when it declines. Raises
    StatusError, OSError, EOFError, Disconnected."""
    reader, writer = await _open(address)
    try:
        writer.write(encode_head(method, target, headers))
        await writer.drain()
        answer = await _read_head(reader, address)
        if _status(answer) == 101:
            return (reader, writer), answer
        refusal = await _refusal(answer, reader)
    except BaseException:
        writer.close()
        raise
    writer.close()
    return refusal


async def _open(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = (address.server_name or address.host) if address.tls else None
    dial = asyncio.open_connection(
        address.host, address.port, ssl=address.tls, server_hostname=name, limit=_PIECE_BYTES
    )
    try:
        reader, writer = await within(SystemClock(), DIAL_TIMEOUT_S, dial)
    except OSError as error:
        raise not_dialled(address, error) from error
    if (raw := writer.get_extra_info("socket")) is not None:
        # A node that vanished is noticed on a session in which nothing is said, too.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            raw.setsockopt(socket.IPPROTO_TCP, option, value)
    return reader, writer


async def _read_head(reader: asyncio.StreamReader, address: Address) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Disconnected(f"{address}: no answer to the upgrade: {error}") from error


def _status(head: bytes) -> int:
    parts = head.split(b"\r\n", 1)[0].split(b" ")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 502


async def _refusal(head: bytes, reader: asyncio.StreamReader) -> Response:
    """The backend's own answer, handed on. Raises Disconnected for one that cannot be read."""
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if key := name.strip().lower():
            joint = "\n" if key == "set-cookie" else ", "
            headers[key] = f"{headers[key]}{joint}{value.strip()}" if key in headers else value.strip()
    try:
        body = await _refusal_body(_status(head), headers, reader)
    except ValueError as error:
        raise Disconnected(f"the answer to the upgrade cannot be read: {error}") from error
    return Response(_status(head), body, headers.get("content-type", "text/plain"), handed_on(headers))


async def _refusal_body(status: int, headers: Mapping[str, str], reader: asyncio.StreamReader) -> bytes:
    """At most a MiB of it. Raises ValueError."""
    if "chunked" in headers.get("transfer-encoding", ""):
        return await _read_chunks(reader)
    if length := headers.get("content-length", ""):
        return await reader.readexactly(min(int(length), _REFUSAL_BYTES_MAX))
    if status in (204, 304):
        return b""
    body = b""
    while len(body) < _REFUSAL_BYTES_MAX and (piece := await reader.read(_PIECE_BYTES)):
        body += piece
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while len(body) < _REFUSAL_BYTES_MAX:
        size = int((await reader.readline()).split(b";")[0].strip() or b"0", 16)
        if not size:
            break
        body += (await reader.readexactly(size + 2))[:-2]
    return body


async def join(left: Ends, right: Ends) -> None:
    """Copy both ways until one side ends; then both are closed, what was read having been written."""
    tasks = [asyncio.create_task(_copy(left[0], right[1])), asyncio.create_task(_copy(right[0], left[1]))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in (left[1], right[1]):
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
