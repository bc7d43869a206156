"""What is pushed is sent a few connections a turn, and what waits for one connection goes in one write."""

import asyncio
from collections.abc import Callable

from kajitori.apiserver.http.outbox import REST_S_MAX, SENDERS_A_TURN, Outbox
from kajitori.apiserver.http.sink import PENDING_BYTES_MAX, ResponseSink
from kajitori.apiserver.http_types import Response
from kajitori.kit.clock import VirtualClock


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


class Slow:
    """A sender whose write takes a while."""

    def __init__(self, clock: VirtualClock, sent_s: list[float], takes_s: float) -> None:
        self._clock, self._sent_s, self._takes_s = clock, sent_s, takes_s

    def send(self) -> None:
        self._clock.pass_s(self._takes_s)
        self._sent_s.append(self._clock.monotonic())


class PassingClock(VirtualClock):
    """One whose time also passes while a callback runs."""

    passed_s = 0.0

    def pass_s(self, seconds: float) -> None:
        self.passed_s += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.passed_s


def sink(outbox: Outbox) -> tuple[Connection, Source, ResponseSink]:
    connection, source = Connection(), Source()
    return connection, source, ResponseSink(connection, Response(source=source), True, outbox)


async def turn() -> None:
    await asyncio.sleep(0)


def run(test: Callable[[PassingClock, Outbox], object]) -> None:
    async def main() -> None:
        clock = PassingClock()
        await test(clock, Outbox(clock))  # type: ignore[misc]

    asyncio.run(main())


def test_what_is_pushed_in_one_turn_is_one_chunk() -> None:
    async def test(_clock: PassingClock, outbox: Outbox) -> None:
        connection, _, to = sink(outbox)
        to.write(b"one\n")
        to.write(b"two\n")
        assert connection.written == []
        await turn()
        to.write(b"three\n")
        await turn()
        assert connection.written == [b"8\r\none\ntwo\n\r\n", b"6\r\nthree\n\r\n"]

    run(test)


def test_watchers_of_the_same_share_its_bytes_and_others_get_their_own() -> None:
    async def test(_clock: PassingClock, outbox: Outbox) -> None:
        (a, _, to_a), (b, _, to_b), (c, _, to_c) = sink(outbox), sink(outbox), sink(outbox)
        for to, lines in ((to_a, (b"1\n", b"2\n")), (to_b, (b"1\n", b"2\n")), (to_c, (b"2\n",))):
            for line in lines:
                to.write(line)
        await turn()
        assert a.written[0] is b.written[0]
        assert c.written == [b"2\r\n2\n\r\n"]

    run(test)


def test_a_crowd_is_served_a_few_a_turn_and_in_order() -> None:
    async def test(_clock: PassingClock, outbox: Outbox) -> None:
        crowd = [sink(outbox) for _ in range(2 * SENDERS_A_TURN + 1)]
        for _, _, to in crowd:
            to.write(b"news\n")
        for served in (SENDERS_A_TURN, 2 * SENDERS_A_TURN, len(crowd)):
            await turn()
            assert [bool(connection.written) for connection, _, _ in crowd] == [n < served for n in range(len(crowd))]

    run(test)


def test_after_a_long_round_comes_a_rest_as_long_but_bounded() -> None:
    async def test(clock: PassingClock, outbox: Outbox) -> None:
        for takes_s, rest_s in ((REST_S_MAX / 4 / SENDERS_A_TURN, REST_S_MAX / 2), (1.0, REST_S_MAX)):
            sent_s: list[float] = []
            for _ in range(2 * SENDERS_A_TURN):
                outbox.add(Slow(clock, sent_s, takes_s))
            await turn()
            await turn()
            assert len(sent_s) == 2 * SENDERS_A_TURN
            outbox.add(Slow(clock, sent_s, 0.0))
            await clock.advance(rest_s * 0.9)
            assert len(sent_s) == 2 * SENDERS_A_TURN
            await clock.advance(rest_s * 0.2)
            assert len(sent_s) == 2 * SENDERS_A_TURN + 1

    run(test)


def test_a_few_wait_for_nothing() -> None:
    async def test(clock: PassingClock, outbox: Outbox) -> None:
        sent_s: list[float] = []
        for number in range(1, 6):
            outbox.add(Slow(clock, sent_s, 1.0))
            await turn()
            assert len(sent_s) == number

    run(test)


def test_the_end_is_written_after_what_waits_and_a_stop_drops_it() -> None:
    async def test(_clock: PassingClock, outbox: Outbox) -> None:
        (ended, _, to_ended), (stopped, _, to_stopped) = sink(outbox), sink(outbox)
        to_ended.write(b"last\n")
        to_stopped.write(b"never\n")
        to_ended.end()
        to_stopped.stop()
        await turn()
        assert ended.written == [b"5\r\nlast\n\r\n", b"END"] and stopped.written == []

    run(test)


def test_a_source_is_asked_to_wait_and_then_for_more() -> None:
    async def test(_clock: PassingClock, outbox: Outbox) -> None:
        connection, source, to = sink(outbox)
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
    async def test(_clock: PassingClock, outbox: Outbox) -> None:
        (broken, _, to_broken), (whole, _, to_whole) = sink(outbox), sink(outbox)
        broken.write = lambda data: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        for to in (to_broken, to_whole):
            to.write(b"news\n")
        await turn()
        assert broken.written == [b"BROKEN OFF"] and len(whole.written) == 1

    run(test)
