"""What is pushed in one turn of the event loop goes to a connection in one write."""

import asyncio
from collections.abc import Awaitable, Callable

from kajitori.apiserver.http.sink import PENDING_BYTES_MAX, ResponseSink, SharedChunk
from kajitori.apiserver.http_types import Response


class Connection:
    def __init__(self) -> None:
        self.writable = True
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def stream_ended(self, *, chunked: bool, whole: bool) -> None:
        self.written.append(b"END" if whole else b"BROKEN OFF")


class Source:
    """Pushes what the test tells it to, and counts how often it is asked for more."""

    asked = 0

    def start(self, sink: object) -> None: ...

    def resume(self) -> None:
        self.asked += 1

    def stop(self) -> None: ...


def sink(shared: SharedChunk | None = None) -> tuple[Connection, Source, ResponseSink]:
    connection, source = Connection(), Source()
    return connection, source, ResponseSink(connection, Response(source=source), True, shared or SharedChunk())


async def turn() -> None:
    await asyncio.sleep(0)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def test_what_is_pushed_in_one_turn_is_one_chunk() -> None:
    async def test() -> None:
        connection, _, to = sink()
        to.write(b"one\n")
        to.write(b"two\n")
        assert connection.written == []
        await turn()
        to.write(b"three\n")
        await turn()
        assert connection.written == [b"8\r\none\ntwo\n\r\n", b"6\r\nthree\n\r\n"]

    run(test)


def test_what_many_are_sent_is_framed_once_and_at_once() -> None:
    async def test() -> None:
        shared = SharedChunk()
        (a, _, to_a), (b, _, to_b), (c, _, to_c) = sink(shared), sink(shared), sink(shared)
        lines = [b"1\n", b"2\n"]
        for to in (to_a, to_b):
            to.write_all(lines)
        to_c.write_all([b"2\n"])
        assert a.written[0] is b.written[0]
        assert c.written == [b"2\r\n2\n\r\n"]

    run(test)


def test_what_many_are_sent_comes_after_what_waits_for_this_one() -> None:
    async def test() -> None:
        connection, _, to = sink()
        to.write(b"backlog\n")
        to.write_all([b"news\n", b"more\n"])
        await turn()
        assert connection.written == [b"12\r\nbacklog\nnews\nmore\n\r\n"]

    run(test)


def test_the_end_is_written_after_what_waits_and_a_stop_drops_it() -> None:
    async def test() -> None:
        (ended, _, to_ended), (stopped, _, to_stopped) = sink(), sink()
        to_ended.write(b"last\n")
        to_stopped.write(b"never\n")
        to_ended.end()
        to_stopped.stop()
        await turn()
        assert ended.written == [b"5\r\nlast\n\r\n", b"END"] and stopped.written == []

    run(test)


def test_a_source_is_asked_to_wait_and_then_for_more() -> None:
    async def test() -> None:
        connection, source, to = sink()
        to.write(b"x" * PENDING_BYTES_MAX)
        assert not to.writable and source.asked == 0
        await turn()
        assert to.writable and source.asked == 1 and len(connection.written) == 1
        to.write(b"x" * PENDING_BYTES_MAX)
        connection.writable = False
        await turn()
        assert not to.writable and source.asked == 1  # the connection itself will ask

    run(test)


def test_who_cannot_be_written_to_is_hung_up_on_and_the_others_are_served() -> None:
    async def test() -> None:
        (broken, _, to_broken), (whole, _, to_whole) = sink(), sink()
        broken.write = lambda data: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        for to in (to_broken, to_whole):
            to.write(b"news\n")
        await turn()
        assert broken.written == [b"BROKEN OFF"] and len(whole.written) == 1

    run(test)
