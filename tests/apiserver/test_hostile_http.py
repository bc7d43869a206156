"""Arbitrary bytes, arbitrarily split, at the protocol itself: an answer in 4xx with a Status, a clean close, or a wait
for more; never an exception, never more kept than the limits allow."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.apiserver.http import encoding
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.protocol import HttpConnection
from kajitori.apiserver.http.sink import SharedChunk
from kajitori.apiserver.http_types import Response
from kajitori.kit.clock import VirtualClock

LIMITS = Limits(header_bytes_max=512, body_bytes_max=1024, pipelined_max=4)


class Transport(asyncio.Transport):
    """What was written, and whether reading is paused or the connection over."""

    def __init__(self):
        super().__init__()
        self.written = bytearray()
        self.over = self.paused = False

    def write(self, data):
        if not self.over:
            self.written += data

    def writelines(self, pieces):
        for piece in pieces:
            self.write(piece)

    def set_write_buffer_limits(self, high=None, low=None):
        pass

    def get_extra_info(self, name, default=None):
        return default

    def is_closing(self):
        return self.over

    def close(self):
        self.over = True

    abort = close

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False


class Server:
    """The connection's server, with an application that answers with what it was asked."""

    draining = False

    def __init__(self):
        self.clock, self.limits = VirtualClock(), LIMITS
        self.date, self.shared_chunk = encoding.DateHeader(self.clock.now), SharedChunk()
        self.requests = []

    async def application(self, request):
        self.requests.append(request)
        if request.method not in ("GET", "HEAD"):
            await asyncio.sleep(0)
        return Response(200, request.body, "text/plain")

    def opened(self, connection):
        return True

    def closed(self, connection):
        pass


def fed(pieces, after_s=0.0):
    """Server, transport and connection after these pieces, or after the connection was closed."""

    async def main():
        server, transport = Server(), Transport()
        connection = HttpConnection(server)
        connection.connection_made(transport)
        for piece in pieces:
            if transport.over:
                break
            connection.data_received(piece)
            assert held(connection) <= LIMITS.header_bytes_max + (LIMITS.pipelined_max + 1) * 70_000
            for _ in range(5):
                await asyncio.sleep(0)
        if after_s:
            await server.clock.advance(after_s)
        for _ in range(20):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.sleep(0)
        return server, transport

    return asyncio.run(main())


def held(connection):
    """Bytes of requests that the connection keeps."""
    waiting = [incoming for incoming, _ in connection._ready]
    if connection._incoming is not None:
        waiting.append(connection._incoming)
    size = sum(sum(map(len, incoming.body)) + incoming.header_bytes for incoming in waiting)
    return size + sum(map(len, connection._leftover))


PARTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"Content-Length: 5\r\n", b"hello",
        b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity, chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"FFFFFFFFFFFFFFFFF\r\n",
        b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET http://[::1 HTTP/1.1\r\n",
        b"GET /%zz%ff HTTP/1.0\r\n",
        b"X: " + b"y" * 300 + b"\r\n", b" folded: line\r\n", b"A\x00B: c\r\n", b": empty\r\n", b"\n", b"\x00",
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.one_of(PARTS, st.binary(max_size=40)), max_size=14))
def test_whatever_arrives_is_answered_or_hung_up_on(pieces):
    _, transport = fed(pieces)
    for status, body in answers(bytes(transport.written)):
        assert status in (100, 200) or 400 <= status < 500
        if status >= 400:
            found = json.loads(body)
            assert found["kind"] == "Status" and found["code"] == status and found["message"]


@settings(max_examples=150)
@given(st.binary(max_size=60), st.lists(st.integers(1, 30), max_size=8))
def test_where_a_request_is_split_does_not_matter(body, cuts):
    wire = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    wire += b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"
    pieces, at = [], 0
    for size in (*cuts, len(wire)):
        pieces.append(wire[at : at + size])
        at += size
    server, transport = fed([piece for piece in pieces if piece])
    assert [(request.path, request.body) for request in server.requests] == [("/a", body), ("/b", b"")]
    assert list(answers(bytes(transport.written))) == [(200, body), (200, b"")]


def answers(wire):
    """Status and body of each whole answer."""
    while wire:
        head, _, wire = wire.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(headers.get("content-length", 0))
        yield int(lines[0].split()[1]), wire[:length]
        wire = wire[length:]


UPGRADE = b"PUT / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"GET / HTTP/1.1\r\nHost: a\r\nX: "] + [b"y" * 100] * 20, 431),
        ([b"GET /" + b"a" * 2000], 431),
        ([b"POST / HTTP/1.1\r\nContent-Length: 2000\r\n\r\n"], 413),
        ([b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"] + [b"64\r\n" + b"z" * 100 + b"\r\n"] * 20, 413),
        ([b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "] + [b"y" * 500] * 20, 413),
        ([b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"], 400),
        ([b"GET / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n"], 400),
        ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 400),
        ([UPGRADE + b"Content-Length: 18\r\n\r\nGET /b HTTP/1.1\r\n\r\n"], 400),
        ([UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n"], 400),
    ],
)
def test_too_much_and_too_ambiguous_is_refused(pieces, status):
    server, transport = fed(pieces)
    assert [found for found, _ in answers(bytes(transport.written))] == [status]
    assert transport.over and not server.requests


@pytest.mark.parametrize(
    ("sent", "after_s"),
    [
        (b"GET / HTTP/1.1\r\nHo", LIMITS.header_timeout_s + 1),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", LIMITS.body_timeout_s + 1),
    ],
)
def test_who_is_too_slow_is_told_so(sent, after_s):
    _, transport = fed([sent], after_s=after_s)
    assert [status for status, _ in answers(bytes(transport.written))] == [408] and transport.over


def test_one_byte_now_and_then_does_not_keep_a_header_open():
    async def main():
        server, transport = Server(), Transport()
        connection = HttpConnection(server)
        connection.connection_made(transport)
        for byte in b"GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
            connection.data_received(bytes((byte,)))
            await server.clock.advance(1)
            if transport.over:
                return server.clock.monotonic(), bytes(transport.written)
        raise AssertionError("the header may take as long as it likes")

    _, written = asyncio.run(main())
    assert written.startswith(b"HTTP/1.1 408 ")


def test_a_flood_of_pipelined_requests_is_read_no_faster_than_it_is_answered():
    async def main():
        server, transport = Server(), Transport()
        connection = HttpConnection(server)
        connection.connection_made(transport)
        sent = 0
        for _ in range(1000):
            connection.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" * 2)
            sent += 2
            if transport.paused:
                break
        assert sent <= LIMITS.pipelined_max + 3
        for _ in range(sent * 5):
            await asyncio.sleep(0)
        assert len(server.requests) == sent and not transport.paused

    asyncio.run(main())
