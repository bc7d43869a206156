"""SPDY/3.1, the client's half, as much of it as exec and attach speak: bytes in, events out, no I/O.

The kubelet's protocol is SPDY draft 3.1: streams are opened by SYN_STREAM with compressed headers, carry DATA both
ways and are half-closed by FIN. What a reply's headers say is of no use here, so they are never decompressed. DATA is
handed on as it arrives, whatever length its frame announces; nothing is held but an incomplete control frame. Windows
are not kept: the runtimes' implementation has none, TCP's back-pressure is what there is.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

CONTROL_BYTES_MAX = 64 << 10
_FRAME_BYTES_MAX = (1 << 24) - 1
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING, _GOAWAY, _HEADERS = 1, 2, 3, 6, 7, 8
_FIN = 1
_HEAD = struct.Struct("!II")
_WORD = struct.Struct("!I")
_ID = 0x7FFFFFFF
_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(text: str) -> bytes:
    return _WORD.pack(len(text)) + text.encode()


DICTIONARY = b"".join(_counted(word.replace("_", " ")) for word in _WORDS.split(" ")) + _TEXT.encode()
"""The draft's, for the compression of headers (2.6.10.1)."""


class SpdyError(Exception):
    """The other side does not keep to the protocol."""


class Data(NamedTuple):
    """A piece of what a stream carries; `ended` when it is the last, `reset` when the stream broke off."""

    stream: int
    payload: bytes
    ended: bool
    reset: bool = False


class SpdySession:
    """`replies` collects what has to be sent back: the owner takes it after each `receive`."""

    def __init__(self) -> None:
        self._compress = zlib.compressobj(zdict=DICTIONARY)
        self._next_id = 1
        self._pending = bytearray()
        self._stream = 0
        self._left = 0
        self._fin = False
        self.replies = bytearray()
        self.gone = False
        """The other side opens and answers nothing more (GOAWAY)."""

    def open(self, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """A new stream's number, and the frame that opens it."""
        stream, self._next_id = self._next_id, self._next_id + 2
        block = _WORD.pack(len(headers)) + b"".join(_counted(n) + _counted(v) for n, v in headers.items())
        packed = self._compress.compress(block) + self._compress.flush(zlib.Z_SYNC_FLUSH)
        return stream, _control(_SYN_STREAM, _WORD.pack(stream) + bytes(6) + packed)

    @staticmethod
    def data(stream: int, payload: bytes, *, ended: bool = False) -> bytes:
        """DATA frames; an empty one that ends the stream when there is nothing else to say."""
        if len(payload) > _FRAME_BYTES_MAX:
            return SpdySession.data(stream, payload[:_FRAME_BYTES_MAX]) + SpdySession.data(
                stream, payload[_FRAME_BYTES_MAX:], ended=ended
            )
        return _HEAD.pack(stream, (_FIN if ended else 0) << 24 | len(payload)) + payload

    def receive(self, data: bytes) -> Iterator[Data]:
        """Raises SpdyError. A stream that was reset has ended."""
        self._pending += data
        while True:
            if self._left:
                if not self._pending:
                    return
                piece = bytes(self._pending[: self._left])
                del self._pending[: len(piece)]
                self._left -= len(piece)
                yield Data(self._stream, piece, self._fin and not self._left)
                continue
            if len(self._pending) < 8:
                return
            first, second = _HEAD.unpack_from(self._pending)
            flags, length = second >> 24, second & _FRAME_BYTES_MAX
            if not first >> 31:
                del self._pending[:8]
                self._stream, self._left, self._fin = first, length, bool(flags & _FIN)
                if not length and self._fin:
                    yield Data(first, b"", True)
                continue
            if length > CONTROL_BYTES_MAX:
                raise SpdyError(f"a control frame of {length} bytes: at most {CONTROL_BYTES_MAX} are read")
            if len(self._pending) < 8 + length:
                return
            body = bytes(self._pending[8 : 8 + length])
            del self._pending[: 8 + length]
            yield from self._control(first, flags, body)

    def _control(self, first: int, flags: int, body: bytes) -> Iterator[Data]:
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != 3:
            raise SpdyError(f"SPDY version {version}: only 3 is spoken")
        if kind == _GOAWAY:
            self.gone = True
        elif kind == _PING:
            if body[3:4] and not body[3] & 1:  # odd numbers are ours, and we asked nothing
                self.replies += _control(_PING, body)
        elif kind in (_SYN_REPLY, _RST_STREAM, _HEADERS):
            if len(body) < 4:
                raise SpdyError(f"a control frame of kind {kind} without a stream")
            if kind == _RST_STREAM or flags & _FIN:
                yield Data(_WORD.unpack_from(body)[0] & _ID, b"", True, kind == _RST_STREAM)


def _control(kind: int, body: bytes) -> bytes:
    return _HEAD.pack(0x80030000 | kind, len(body)) + body
