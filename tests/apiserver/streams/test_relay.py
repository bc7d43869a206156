import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from kajitori.apiserver.streams.relay import relay
from kajitori.client.connection import Address
from kajitori.client.idle_connections import IDLE_S_MAX, IdleConnections
from kajitori.client.wire import read_all
from kajitori.kit.clock import VirtualClock


class Backend:
    """Answers with what was asked for; `heads` are the requests of each connection."""

    def __init__(self) -> None:
        self.heads: list[list[bytes]] = []
        self.left = asyncio.Event()
        self.lines = b""
        self.address = Address("127.0.0.1", 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        self.heads.append(mine)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                mine.append(head)
                body = head.partition(b" HTTP/1.1")[0]
                writer.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n" % (self.lines, len(body)))
                await writer.drain()
                writer.write(body)
        self.left.set()
        writer.close()


def with_backend(scenario: Callable[[Backend], Awaitable[None]]) -> None:
    async def run() -> None:
        backend = Backend()
        server = await asyncio.start_server(backend.serve, "127.0.0.1", 0)
        backend.address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        try:
            await scenario(backend)
        finally:
            server.close()

    asyncio.run(run())


async def ask(backend: Backend, method: str, path: str, idle: IdleConnections | None) -> bytes:
    response = await relay(backend.address, method, path, {}, idle=idle)
    assert response.stream is not None
    return await read_all(response.stream)


def test_reads_share_a_connection_and_writes_have_their_own() -> None:
    async def scenario(backend: Backend) -> None:
        idle = IdleConnections(VirtualClock(), 8)
        assert await ask(backend, "GET", "/a", idle) == b"GET /a"
        assert await ask(backend, "GET", "/b", idle) == b"GET /b"
        assert await ask(backend, "POST", "/c", idle) == b"POST /c"
        idle.close()
        assert [len(heads) for heads in backend.heads] == [2, 1]
        assert b"connection: close" in backend.heads[1][0]

    with_backend(scenario)


def test_without_a_place_for_idle_connections_each_request_has_its_own() -> None:
    async def scenario(backend: Backend) -> None:
        for _ in range(2):
            await ask(backend, "GET", "/a", None)
        assert [len(heads) for heads in backend.heads] == [1, 1]

    with_backend(scenario)


def test_a_body_that_is_not_read_to_its_end_takes_its_connection_along() -> None:
    async def scenario(backend: Backend) -> None:
        idle = IdleConnections(VirtualClock(), 8)
        response = await relay(backend.address, "GET", "/left", {}, idle=idle)
        assert response.stream is not None
        pieces = aiter(response.stream)
        await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]
        assert await ask(backend, "GET", "/next", idle) == b"GET /next"
        idle.close()
        assert len(backend.heads) == 2

    with_backend(scenario)


def test_an_answer_that_nobody_reads_takes_its_connection_along() -> None:
    async def scenario(backend: Backend) -> None:
        response = await relay(backend.address, "GET", "/left", {})
        del response
        await backend.left.wait()

    with_backend(scenario)


def test_every_cookie_is_handed_on_and_other_repeated_headers_are_joined() -> None:
    async def scenario(backend: Backend) -> None:
        backend.lines = b"set-cookie: a=1; expires=Mon, 1\r\nvary: a\r\nset-cookie: b=2\r\nvary: b\r\nkeep-alive: 5\r\n"
        response = await relay(backend.address, "GET", "/a", {})
        cookies = (("set-cookie", "a=1; expires=Mon, 1"), ("set-cookie", "b=2"))
        assert response.headers == (*cookies, ("vary", "a, b"))

    with_backend(scenario)


def test_a_connection_that_lay_too_long_is_not_used_again() -> None:
    async def scenario(backend: Backend) -> None:
        clock = VirtualClock()
        idle = IdleConnections(clock, 8)
        await ask(backend, "GET", "/a", idle)
        await clock.advance(IDLE_S_MAX)
        await ask(backend, "GET", "/b", idle)
        idle.close()
        assert len(backend.heads) == 2

    with_backend(scenario)
