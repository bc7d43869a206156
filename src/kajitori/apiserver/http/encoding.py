"""A response as bytes: head, gzip, chunks."""

import gzip
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

import orjson

from kajitori.apiserver.http_types import Response

GZIP_MIN_BYTES = 128 * 1024
"""Below this the round trip costs less than the compression (upstream's threshold)."""
GZIP_LEVEL = 1

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@lru_cache(maxsize=256)
def _opening(status: int, content_type: str) -> bytes:
    line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Status\r\n".encode()
    return line + f"Content-Type: {content_type}\r\n".encode("latin-1", "replace") if content_type else line


class DateHeader:
    """The Date header, made once a second."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\nCache-Control: no-cache, private\r\n".encode()
        return self._line


def head(response: Response, date: bytes, framing: bytes, *, close: bool) -> bytes:
    """Status line and headers up to the empty line; `framing` is Content-Length or Transfer-Encoding."""
    if response.headers and _names(response, "cache-control"):
        date = date[: date.index(b"Cache-Control")]
    top = _opening(response.status, response.content_type) + date + response.lines
    for name, value in response.headers:
        clean = value.replace("\r", " ").replace("\n", " ")
        top += f"{name}: {clean}\r\n".encode("latin-1", "replace")
    return top + framing + (b"Connection: close\r\n\r\n" if close else b"\r\n")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def wants_gzip(response: Response, accept_encoding: str) -> bool:
    return (
        len(response.body) > GZIP_MIN_BYTES and "gzip" in accept_encoding and not _names(response, "content-encoding")
    )


def _names(response: Response, header: str) -> bool:
    return any(name.lower() == header for name, _ in response.headers)


def gzipped(response: Response) -> Response:
    """Slow for large bodies: belongs in a thread."""
    headers = (*response.headers, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
    body = gzip.compress(response.body, GZIP_LEVEL, mtime=0)
    return Response(response.status, body, response.content_type, headers, lines=response.lines)


def failure(status: int, reason: str, message: str) -> Response:
    """A Status for what never became a request."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status,
    }
    return Response(status, orjson.dumps(document))
