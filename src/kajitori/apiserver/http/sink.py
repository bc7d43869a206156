"""Carrying a pushed body onto a connection."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from kajitori.apiserver.http.encoding import chunk
from kajitori.apiserver.http_types import Response, Sink

log = logging.getLogger(__name__)

PENDING_BYTES_MAX = 64 * 1024
"""What waits for one write. A source that has more is asked for it afterwards."""


class Carrier(Protocol):
    """The connection under a sink."""

    writable: bool

    def write(self, data: bytes) -> None: ...

    def stream_ended(self, *, chunked: bool, whole: bool) -> None: ...


class SharedChunk:
    """Watchers of the same are sent the same lines, one after another: their chunk of HTTP/1.1 is made once."""

    def __init__(self) -> None:
        self._pieces: Sequence[bytes] = ()
        self._framed = b""

    def of(self, pieces: Sequence[bytes]) -> bytes:
        if pieces is not self._pieces:
            self._pieces, self._framed = pieces, chunk(b"".join(pieces))
        return self._framed


class ResponseSink(Sink):
    """Chunks for HTTP/1.1, plain bytes for a client that knows none. What is written piece by piece in one turn of the
    event loop goes together."""

    def __init__(self, connection: Carrier, response: Response, chunked: bool, shared: SharedChunk) -> None:
        assert response.source is not None
        self._connection = connection
        self._shared = shared
        self._source = response.source
        self._chunked = chunked
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._ended = False

    @property
    def writable(self) -> bool:
        return self._pending_bytes < PENDING_BYTES_MAX and self._connection.writable

    def start(self) -> None:
        self._source.start(self)

    def write(self, chunk: bytes) -> None:
        if self._ended:
            return
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)

    def write_all(self, chunks: Sequence[bytes]) -> None:
        if self._pending:
            for chunk in chunks:
                self.write(chunk)
        elif not self._ended:
            self._carry(self._shared.of(chunks) if self._chunked else b"".join(chunks))

    def _carry(self, data: bytes) -> None:
        """A peer that would miss a piece is hung up on."""
        try:
            self._connection.write(data)
        except Exception:
            log.exception("what was pushed could not be written: the connection is closed")
            self.stop()
            self._connection.stream_ended(chunked=self._chunked, whole=False)

    def _send(self) -> None:
        pieces = b"".join(self._pending)
        if pieces:
            self._pending, self._pending_bytes = [], 0
            self._carry(chunk(pieces) if self._chunked else pieces)

    def _flush(self) -> None:
        full = self._pending_bytes >= PENDING_BYTES_MAX
        self._send()
        if full and self._connection.writable:
            self.resume()

    def end(self) -> None:
        if not self._ended:
            self._send()
            if not self._ended:
                self._ended = True
                self._connection.stream_ended(chunked=self._chunked, whole=True)

    def resume(self) -> None:
        if not self._ended:
            self._source.resume()

    def stop(self) -> None:
        self._ended = True
        self._pending.clear()
        self._source.stop()

    def drain(self) -> None:
        self._source.stop()
        self.end()
