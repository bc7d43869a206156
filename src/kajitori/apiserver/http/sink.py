"""Carrying a pushed body onto a connection."""

import logging
from typing import Protocol

from kajitori.apiserver.http.outbox import Outbox
from kajitori.apiserver.http_types import Response, Sink

log = logging.getLogger(__name__)

PENDING_BYTES_MAX = 64 * 1024
"""What waits for one write. A source that has more is asked for it afterwards."""


class Carrier(Protocol):
    """The connection under a sink."""

    writable: bool

    def write(self, data: bytes) -> None: ...

    def stream_ended(self, *, chunked: bool, whole: bool) -> None: ...


class ResponseSink(Sink):
    """Chunks for HTTP/1.1, plain bytes for a client that knows none."""

    def __init__(self, connection: Carrier, response: Response, chunked: bool, outbox: Outbox) -> None:
        assert response.source is not None
        self._connection = connection
        self._outbox = outbox
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
            self._outbox.add(self)
        self._pending.append(chunk)
        self._pending_bytes += len(chunk)

    def send(self) -> None:
        """Write what waits; the outbox calls this. A peer that would miss a piece is hung up on."""
        try:
            self._send()
        except Exception:
            log.exception("what was pushed could not be written: the connection is closed")
            self.stop()
            self._connection.stream_ended(chunked=self._chunked, whole=False)

    def _send(self) -> None:
        pieces, size = self._pending, self._pending_bytes
        if not pieces:
            return
        self._pending, self._pending_bytes = [], 0
        self._connection.write(self._outbox.framed(pieces) if self._chunked else b"".join(pieces))
        if size >= PENDING_BYTES_MAX and self._connection.writable:
            self.resume()

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._send()
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
