"""What a connection does with its transport beside reading and writing: notice that a peer vanished, hand it over."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

_PROBE_AFTER_S, _PROBE_EVERY_S, _PROBES = 60, 15, 4
"""A peer that vanished is noticed after two minutes, on a watch that has nothing to send too."""


def keep_alive(raw: Any) -> None:
    """Of a socket, or of what uvloop gives for one."""
    with contextlib.suppress(OSError):  # not TCP
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PROBE_AFTER_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_EVERY_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)


class _TakenOver(asyncio.StreamReaderProtocol):
    """A transport in a handler's hands; who had it before is told when it is lost."""

    def __init__(self, reader: asyncio.StreamReader, on_lost: Callable[[Exception | None], None]) -> None:
        super().__init__(reader, loop=asyncio.get_running_loop())
        self._on_lost = on_lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_lost(exc)


def as_streams(
    transport: asyncio.Transport, arrived: bytes, on_lost: Callable[[Exception | None], None], *, writable: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Hand over a transport, with what has been read from it beyond the request."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _TakenOver(reader, on_lost)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if not writable:
        protocol.pause_writing()
    if arrived:
        reader.feed_data(arrived)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
