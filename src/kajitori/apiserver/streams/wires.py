"""Two protocols joined: what a client says over WebSocket, said to the kubelet in SPDY/3.1. Pure: bytes in, bytes out.

RemoteCommand: the client speaks `v5.channel.k8s.io`, where each message begins with its channel and channel 255
half-closes one; the kubelet has an SPDY stream for each, as in `v4.channel.k8s.io`.
Tunnel: the client speaks `SPDY/3.1+portforward.k8s.io`, where messages are pieces of an SPDY connection; the kubelet
gets that connection.
"""

from collections.abc import Collection
from typing import Protocol

import orjson

from kajitori.api.errors import InternalError
from kajitori.apiserver.streams.spdy import SpdyError, SpdySession
from kajitori.apiserver.streams.websocket import INTERNAL_ERROR, NORMAL, WebSocket, WebSocketError

V5 = "v5.channel.k8s.io"
V4 = "v4.channel.k8s.io"
TUNNELLED = "SPDY/3.1+"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_STREAM_TYPES = {_ERROR: "error", _STDIN: "stdin", _STDOUT: "stdout", _STDERR: "stderr", _RESIZE: "resize"}


class Wire(Protocol):
    """`to_client` and `to_backend` are taken and emptied by the owner after every call. `over`: nothing more comes."""

    to_client: bytearray
    to_backend: bytearray
    over: bool

    def from_client(self, data: bytes) -> None: ...

    def from_backend(self, data: bytes) -> None: ...

    def backend_ended(self) -> None: ...


class RemoteCommand:
    """`asked` are those of stdin, stdout, stderr and tty that the client asked for."""

    def __init__(self, asked: Collection[str]) -> None:
        self._socket, self._spdy = WebSocket(), SpdySession()
        self.to_client, self.to_backend, self.over = bytearray(), bytearray(), False
        self._streams: dict[int, int] = {}
        for channel, name in _STREAM_TYPES.items():
            if channel == _ERROR or ("tty" if channel == _RESIZE else name) in asked:
                stream, frame = self._spdy.open({"streamtype": name})
                self._streams[channel] = stream
                self.to_backend += frame
        self._channels = {stream: channel for channel, stream in self._streams.items()}
        self._running = {channel for channel in (_STDOUT, _STDERR, _ERROR) if channel in self._streams}
        self._writable = {channel for channel in (_STDIN, _RESIZE) if channel in self._streams}
        self._end_known = False
        """What the error stream says has come; runtimes reset their streams after it."""
        # The first message, empty, tells the client that its command has begun.
        self.to_client += self._socket.message(bytes((min(self._running),)))

    def from_client(self, data: bytes) -> None:
        try:
            for message in self._socket.receive(data):
                if message:
                    self._said(message[0], message[1:])
        except WebSocketError as error:
            self._end(error.code, str(error))
        self.to_client += self._socket.replies
        self._socket.replies.clear()
        self.over = self.over or self._socket.closed

    def _said(self, channel: int, payload: bytes) -> None:
        if channel == _CLOSE:
            closed = payload[0] if payload else _CLOSE
            if closed in self._writable:
                self._writable.discard(closed)
                self.to_backend += self._spdy.data(self._streams[closed], b"", ended=True)
        elif channel in self._writable and payload:
            self.to_backend += self._spdy.data(self._streams[channel], payload)

    def from_backend(self, data: bytes) -> None:
        try:
            for piece in self._spdy.receive(data):
                channel = self._channels.get(piece.stream)
                if channel == _ERROR and piece.reset and not self._end_known:
                    self._fail("the kubelet broke off before the command's end was known")
                elif channel in self._running:
                    assert channel is not None
                    self._end_known = self._end_known or channel == _ERROR
                    if piece.payload:
                        self.to_client += self._socket.message(bytes((channel,)) + piece.payload)
                    if piece.ended:
                        self._running.discard(channel)
                elif channel is not None and piece.ended:
                    self._writable.discard(channel)
        except SpdyError as error:
            self._fail(f"the kubelet's answer cannot be read: {error}")
        self.to_backend += self._spdy.replies
        self._spdy.replies.clear()
        if not self._running:
            self._end(NORMAL)

    def backend_ended(self) -> None:
        if _ERROR in self._running and not self._end_known:
            self._fail("the kubelet ended the connection before the command's end was known")
        self._end(NORMAL)

    def refuse(self, why: str) -> None:
        """The command never began: that is told where a command's end is told."""
        status = InternalError(f"Internal error occurred: {why}", {"causes": [{"message": why}]}).status()
        self.to_client += self._socket.message(bytes((_ERROR,)) + orjson.dumps(status))
        self._end(NORMAL)

    def _fail(self, message: str) -> None:
        if not self.over:
            status = orjson.dumps(InternalError(f"Internal error occurred: {message}").status())
            self.to_client += self._socket.message(bytes((_ERROR,)) + status)
            self._end(INTERNAL_ERROR)

    def _end(self, code: int, reason: str = "") -> None:
        if not self.over:
            self.over = True
            self.to_client += self._socket.close(code, reason)


class Tunnel:
    """What is inside is not looked at."""

    def __init__(self) -> None:
        self._socket = WebSocket()
        self.to_client, self.to_backend, self.over = bytearray(), bytearray(), False

    def from_client(self, data: bytes) -> None:
        try:
            for message in self._socket.receive(data):
                self.to_backend += message
        except WebSocketError as error:
            self.to_client += self._socket.close(error.code, str(error))
            self.over = True
        self.to_client += self._socket.replies
        self._socket.replies.clear()
        self.over = self.over or self._socket.closed

    def from_backend(self, data: bytes) -> None:
        self.to_client += self._socket.message(data)

    def backend_ended(self) -> None:
        if not self.over:
            self.over = True
            self.to_client += self._socket.close(NORMAL)
