"""Carrying a pushed body onto a connection."""

from typing import Protocol

from kajitori.apiserver.http import encoding
from kajitori.apiserver.http_types import Response, Sink


class Carrier(Protocol):
    """The connection under a sink."""

    writable: bool

    def write(self, data: bytes) -> None: ...

    def stream_ended(self, *, chunked: bool, whole: bool) -> None: ...


class ResponseSink(Sink):
    """Chunks for HTTP/1.1, plain bytes for a client that knows none."""

    def __init__(self, connection: Carrier, response: Response, chunked: bool, frame: encoding.Frame) -> None:
        assert response.source is not None
        self._connection = connection
        self._frame = frame
        self._source = response.source
        self._chunked = chunked
        self._ended = False

    @property
    def writable(self) -> bool:
        return self._connection.writable

    def start(self) -> None:
        self._source.start(self)

    def write(self, chunk: bytes) -> None:
        if not self._ended:
            self._connection.write(self._frame(chunk) if self._chunked else chunk)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._connection.stream_ended(chunked=self._chunked, whole=True)

    def resume(self) -> None:
        if not self._ended:
            self._source.resume()

    def stop(self) -> None:
        self._ended = True
        self._source.stop()

    def drain(self) -> None:
        self._source.stop()
        self.end()
