"""WebSocket (RFC 6455), the server's half: bytes in, messages out, no I/O."""

import base64
import hashlib
import struct
from collections.abc import Iterator, Mapping

MESSAGE_BYTES_MAX = 1 << 20
"""A longer message is refused (1009)."""
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NORMAL, PROTOCOL_ERROR, TOO_BIG, INTERNAL_ERROR = 1000, 1002, 1009, 1011


class WebSocketError(Exception):
    """The client does not keep to the protocol; `code` is what it is told when the connection is closed."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def offered_protocols(headers: Mapping[str, str]) -> list[str]:
    return [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",") if name.strip()]


def is_websocket(headers: Mapping[str, str]) -> bool:
    return headers.get("upgrade", "").lower() == "websocket"


def handshake(headers: Mapping[str, str], protocol: str) -> bytes:
    """The answer that makes a request a WebSocket, of no named protocol if `protocol` is empty. Raises WebSocketError
    when the request is not a proper one."""
    key = headers.get("sec-websocket-key", "")
    if headers.get("sec-websocket-version") != "13" or not key:
        raise WebSocketError(PROTOCOL_ERROR, "a WebSocket needs Sec-WebSocket-Version: 13 and a Sec-WebSocket-Key")
    digest = hashlib.sha1(key.encode("latin-1", "replace") + _KEY_SUFFIX, usedforsecurity=False).digest()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
    ]
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class WebSocket:
    """`replies` collects what has to be sent back (pongs, the closing frame): the owner takes it after each `receive`.
    Holds at most one message that is not complete yet."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._message = bytearray()
        self._within = False
        self.replies = bytearray()
        self.closed = False
        """The client has said goodbye."""

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Whole messages, text or binary. Raises WebSocketError."""
        self._pending += data
        while not self.closed and (frame := self._frame()) is not None:
            opcode, final, payload = frame
            if opcode >= _CLOSE:
                self._control(opcode, final, payload)
                continue
            if (opcode == _CONTINUATION) != self._within:
                raise WebSocketError(PROTOCOL_ERROR, "a fragment out of place")
            if len(self._message) + len(payload) > MESSAGE_BYTES_MAX:
                raise WebSocketError(TOO_BIG, f"a message is longer than {MESSAGE_BYTES_MAX} bytes")
            self._message += payload
            self._within = not final
            if final:
                message, self._message = bytes(self._message), bytearray()
                yield message

    def _control(self, opcode: int, final: bool, payload: bytes) -> None:
        if not final or len(payload) > 125:
            raise WebSocketError(PROTOCOL_ERROR, "a control frame that is split or too long")
        if opcode == _PING:
            self.replies += _framed(_PONG, payload)
        elif opcode == _CLOSE:
            if payload and not _may_be_said(payload):
                raise WebSocketError(PROTOCOL_ERROR, "a closing frame without a proper code")
            self.closed = True
            self.replies += _framed(_CLOSE, payload[:2])
        elif opcode != _PONG:
            raise WebSocketError(PROTOCOL_ERROR, f"unknown opcode {opcode}")

    def _frame(self) -> tuple[int, bool, bytes] | None:
        pending = self._pending
        if len(pending) < 2:
            return None
        opcode, length, at = pending[0] & 0x0F, pending[1] & 0x7F, 2
        if pending[0] & 0x70 or not pending[1] & 0x80 or opcode not in (0, 1, 2, 8, 9, 10):
            raise WebSocketError(PROTOCOL_ERROR, "a frame that is not masked, or with bits that mean nothing here")
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(pending) < 2 + size:
                return None
            length, at = int.from_bytes(pending[2 : 2 + size]), 2 + size
        if length > MESSAGE_BYTES_MAX:
            raise WebSocketError(TOO_BIG, f"a message is longer than {MESSAGE_BYTES_MAX} bytes")
        end = at + 4 + length
        if len(pending) < end:
            return None
        final, mask, payload = bool(pending[0] & 0x80), bytes(pending[at : at + 4]), bytes(pending[at + 4 : end])
        del pending[:end]
        return opcode, final, _masked(payload, mask)

    @staticmethod
    def message(payload: bytes) -> bytes:
        return _framed(_BINARY, payload)

    @staticmethod
    def text(payload: bytes) -> bytes:
        return _framed(_TEXT, payload)

    @staticmethod
    def close(code: int, reason: str = "") -> bytes:
        shown = reason.encode()[:120].decode(errors="ignore").encode()
        return _framed(_CLOSE, struct.pack("!H", code) + shown)


_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
"""Which may stand in a closing frame (RFC 6455, 7.4)."""


def _may_be_said(closing: bytes) -> bool:
    return len(closing) >= 2 and int.from_bytes(closing[:2]) in _CODES


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(size)


def _framed(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + payload
