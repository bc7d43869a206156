"""A request whose header lines are the ones of the request before it on the same connection.

Clients keep a connection and send the same lines with every request. Parsing them costs as much as answering a read,
so the bytes of the last well-formed head are kept, and a request that differs in its target alone is recognised by
comparing bytes. Whatever differs in anything else goes through the parser: nothing is accepted here that it has not
accepted, byte for byte, before.
"""

import re

from kajitori.apiserver.http.incoming import Incoming
from kajitori.apiserver.http_types import Headers

_VERSION = b" HTTP/1.1\r\n"
_TARGET = re.compile(rb"/[!-~]{0,4095}")
_TAIL_MAX = 8192
"""Longer heads are parsed each time: ten thousand idle connections must not hold much."""
_NEVER = ("transfer-encoding", "expect", "upgrade")
"""Headers that change how the bytes are to be read."""


class RepeatedHead:
    """`tail` is everything from the version to the empty line; `headers` are shared by all requests that bring it."""

    __slots__ = ("_body_bytes", "_headers", "_method", "_prefix", "_tail")

    def __init__(self, method: str, tail: bytes, headers: Headers, body_bytes: int) -> None:
        self._method = method
        self._prefix = method.encode() + b" "
        self._tail = tail
        self._headers = headers
        self._body_bytes = body_bytes

    def match(self, data: bytes) -> Incoming | None:
        """The request that `data` is, when it is exactly one with this head and its whole body."""
        end = len(data) - self._body_bytes - len(self._tail)
        if not data.startswith(self._tail, end) or not data.startswith(self._prefix):
            return None
        if _TARGET.fullmatch(data, len(self._prefix), end) is None:
            return None
        incoming = Incoming()
        incoming.method = self._method
        incoming.target = data[len(self._prefix) : end]
        incoming.headers = self._headers
        incoming.body = [data[-self._body_bytes :]] if self._body_bytes else []
        return incoming


def head_of(data: bytes, incoming: Incoming) -> RepeatedHead | None:
    """What to remember of `data`, which the parser has found to be exactly one whole request, `incoming`."""
    if incoming.version != "1.1" or not incoming.keep_alive or any(name in incoming.headers for name in _NEVER):
        return None
    start, end = data.find(_VERSION), len(data) - incoming.body_bytes
    if start < 0 or end - start > _TAIL_MAX or data.find(b"\r\n\r\n") != end - 4:
        return None
    return RepeatedHead(incoming.method, data[start:end], incoming.headers, incoming.body_bytes)
