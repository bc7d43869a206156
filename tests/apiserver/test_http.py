"""The HTTP layer on real sockets: framing, limits, streams, upgrades, draining, and clients that misbehave."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http_types import CONNECTION_TAKEN, Request, Response
from kajitori.kit.clock import SystemClock, VirtualClock

LIMITS = Limits(header_bytes_max=2048, body_bytes_max=4096, pipelined_max=2, write_buffer_bytes=1024)


class Ticker:
    """A pushed body under the test's control."""

    def __init__(self):
        self.sink = None
        self.stopped = asyncio.Event()

    def start(self, sink):
        self.sink = sink
        sink.write(b"first")

    def resume(self):
        pass

    def stop(self):
        self.stopped.set()


class Site:
    """The application: a few paths, each showing one thing."""

    def __init__(self):
        self.requests: list[Request] = []
        self.ticker = Ticker()
        self.release = asyncio.Event()

    async def __call__(self, request):
        self.requests.append(request)
        match request.path:
            case "/echo":
                return Response(200, request.body, "text/plain")
            case "/slow":
                await self.release.wait()
                return Response(200, b"slow")
            case "/large":
                return Response(200, b"x" * 300_000)
            case "/watch":
                return Response(200, source=self.ticker)
            case "/stream":
                return Response(200, stream=self.numbers())
            case "/broken":
                return Response(200, stream=self.broken())
            case "/upgrade":
                reader, writer = await request.connection.take()
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
                while data := await reader.read(100):
                    writer.write(data.upper())
                writer.close()
                return CONNECTION_TAKEN
        return Response(200, request.path.encode(), "text/plain")

    async def numbers(self):
        for number in range(3):
            yield str(number).encode()

    async def broken(self):
        yield b"half"
        raise RuntimeError("the source failed")


def serve(scenario: Callable[[Site, HttpServer, int], Awaitable[None]], limits=LIMITS, clock=None) -> None:
    async def main():
        site = Site()
        server = HttpServer(site, clock or SystemClock(), limits)
        port = await server.start("127.0.0.1", 0)
        try:
            await asyncio.wait_for(scenario(site, server, port), 60)
        finally:
            site.release.set()
            await server.drain(1)

    uvloop.run(main())  # what serves at run time


async def answer(reader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join([piece async for piece in chunks(reader)])
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(lines[0].split()[1]), headers, body


async def chunks(reader):
    while size := int(await reader.readline(), 16):
        yield await reader.readexactly(size)
        await reader.readline()
    await reader.readline()


def test_many_requests_on_one_connection_are_answered_in_order():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(40)))
        for index in range(40):
            assert (await answer(reader))[2] == b"/%d" % index
        writer.close()

    serve(scenario)


def test_a_pipelined_request_waits_for_the_one_before():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /fast HTTP/1.1\r\nHost: x\r\n\r\n")
        while not site.requests:
            await asyncio.sleep(0)
        site.release.set()
        assert (await answer(reader))[2] == b"slow"
        assert (await answer(reader))[2] == b"/fast"
        writer.close()

    serve(scenario)


def test_a_request_may_arrive_byte_by_byte():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in b"POST /echo?a=b%20c HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 4\r\n\r\nbody":
            writer.write(bytes([byte]))
            await writer.drain()
        assert (await answer(reader))[2] == b"body"
        request = site.requests[0]
        assert request.query.get("a") == "b c" and request.headers["x-two"] == "1, 2"
        writer.close()

    serve(scenario)


def test_chunked_bodies_expectations_head_and_closing():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert (await answer(reader))[2] == b"abcde"
        writer.write(
            b"HEAD /four HTTP/1.1\r\nHost: x\r\n\r\nGET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert "Content-Length: 5" in head
        _, headers, body = await answer(reader)
        assert body == b"/last" and headers["connection"] == "close"
        assert await reader.read() == b""
        writer.close()

    serve(scenario)


def test_percent_encoding_and_absolute_targets():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET http://host/a%20b?q HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[2] == b"/a b"
        assert site.requests[0].raw_path == "/a%20b"
        writer.close()

    serve(scenario)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nBad Header\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 3000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 3000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5000 + b"\r\n", 413),
    ],
)
def test_what_is_not_a_request_is_refused_and_hung_up_on(sent, status):
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert (await answer(reader))[0] == status
        assert await reader.read() == b""
        assert site.requests == []
        writer.close()

    serve(scenario)


def test_a_request_that_does_not_end_is_given_up():
    clock = VirtualClock()

    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        while not any(connection._incoming for connection in server._connections):
            await asyncio.sleep(0)
        await clock.advance(LIMITS.header_timeout_s + 1)
        assert (await answer(reader))[0] == 408
        assert await reader.read() == b""
        writer.close()

    serve(scenario, clock=clock)


def test_an_idle_connection_is_closed_and_a_busy_one_is_not():
    clock = VirtualClock()

    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        while not site.requests:
            await asyncio.sleep(0)
        await clock.advance(10 * LIMITS.idle_timeout_s)
        site.release.set()
        assert (await answer(reader))[2] == b"slow"
        await clock.advance(LIMITS.idle_timeout_s * 2 + 1)
        assert await reader.read() == b""
        writer.close()

    serve(scenario, clock=clock)


def test_more_connections_than_allowed_are_closed():
    async def scenario(site, server, port):
        held = await asyncio.open_connection("127.0.0.1", port)
        held[1].write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        await answer(held[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            writer.write(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
        held[1].close()

    serve(scenario, limits=Limits(connections_max=1))


def test_gzip_only_for_large_bodies_and_only_when_asked():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        _, headers, body = await answer(reader)
        assert "content-encoding" not in headers and len(body) == 300_000
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        _, headers, body = await answer(reader)
        assert headers["content-encoding"] == "gzip" and len(gzip.decompress(body)) == 300_000
        writer.write(b"GET /small HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        _, headers, _ = await answer(reader)
        assert "content-encoding" not in headers
        writer.close()

    serve(scenario)


def test_a_pushed_stream_and_the_next_request_on_its_connection():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        pieces = chunks(reader)
        assert await anext(pieces) == b"first"
        site.ticker.sink.write(b"second")
        assert await anext(pieces) == b"second"
        site.ticker.sink.end()
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        writer.write(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[2] == b"/next"
        writer.close()

    serve(scenario)


def test_a_stream_stops_when_its_reader_has_gone():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await site.ticker.stopped.wait()

    serve(scenario)


def test_a_slow_reader_is_noticed():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        sink = site.ticker.sink
        for _ in range(10_000):
            if not sink.writable:
                break
            sink.write(b"x" * 65536)
            await asyncio.sleep(0)
        assert not sink.writable
        writer.transport.abort()

    serve(scenario)


def test_pulled_streams_end_whole_or_break_off_visibly():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[2] == b"012"
        writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ValueError)):
            await answer(reader)
        writer.close()

    serve(scenario)


def test_an_old_client_gets_a_stream_that_ends_with_the_connection():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n012")
        writer.close()

    serve(scenario)


def test_an_upgrade_hands_over_the_connection_with_what_was_read():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        assert await reader.readexactly(5) == b"EARLY"
        writer.write(b"more")
        assert await reader.readexactly(4) == b"MORE"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    serve(scenario)


def test_an_upgrade_that_is_declined_is_a_request_like_any_other():
    async def scenario(site, server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        upgrade = b"GET /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        writer.write(upgrade + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[2] == b"/plain"
        assert (await answer(reader))[2] == b"/next"
        writer.close()

    serve(scenario)


def test_draining_finishes_what_is_under_way_and_accepts_nothing_more():
    async def scenario(site, server, port):
        busy = await asyncio.open_connection("127.0.0.1", port)
        busy[1].write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        watching = await asyncio.open_connection("127.0.0.1", port)
        watching[1].write(b"GET /watch HTTP/1.1\r\nHost: x\r\n\r\n")
        idle = await asyncio.open_connection("127.0.0.1", port)
        while len(site.requests) < 2 or len(server._connections) < 3:
            await asyncio.sleep(0)
        draining = asyncio.create_task(server.drain(5))
        assert await idle[0].read() == b""
        assert (await watching[0].read()).endswith(b"5\r\nfirst\r\n0\r\n\r\n"), "a watch ends in good order"
        site.release.set()
        _, headers, body = await answer(busy[0])
        assert body == b"slow" and headers["connection"] == "close"
        await draining
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        for _, writer in (busy, watching, idle):
            writer.close()

    serve(scenario)
