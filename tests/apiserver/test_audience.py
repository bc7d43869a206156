"""Watchers who are shown the same lines: each is at its own place in one log."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kajitori.apiserver.watch_cache import audience as audiences
from kajitori.apiserver.watch_cache.audience import FEW, Audience, Outboxes
from kajitori.apiserver.watch_cache.entry import ADDED, CachedEvent, Entry
from kajitori.apiserver.watch_cache.outbox import TOLD_A_TURN, Outbox
from kajitori.apiserver.watch_cache.selection import Selection
from kajitori.kit.clock import VirtualClock


class Member:
    """Takes what the audience has been shown, while it is not slow."""

    def __init__(self, audience: Audience, flowing: bool = True) -> None:
        self.at = 0
        self.flowing = flowing
        self.told: list[bytes] = []
        self.writes = 0
        self.expired = ""
        self.closed = False
        self._audience = audience
        audience.join(self)

    def catch_up(self) -> None:
        while self.at < self._audience.end:
            lines = self._audience.lines(self.at)
            self.at += len(lines)
            self.told += lines
            self.writes += 1

    def expire(self, message: str) -> None:
        self.expired = message
        self._audience.leave(self)

    def close(self) -> None:
        self.closed = True
        self._audience.leave(self)


def event(number: int) -> CachedEvent:
    return CachedEvent(number, Entry("a", str(number), b'{"metadata":{}}', number), None)


class Stage:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.emptied = 0
        outboxes = Outboxes(Outbox(self.clock), Outbox(self.clock))
        self.audience = Audience(Selection(), lambda event, type: b"%d\n" % event.revision, outboxes, self._on_empty)

    def _on_empty(self) -> None:
        self.emptied += 1

    def show(self, *numbers: int) -> None:
        for number in numbers:
            self.audience.push(event(number), ADDED)

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        await self.clock.advance(0.1)


def run(test: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(Stage())

    asyncio.run(main())


def lines(*numbers: int) -> list[bytes]:
    return [b"%d\n" % number for number in numbers]


@pytest.mark.parametrize("size", [1, FEW, FEW + 1, 3 * TOLD_A_TURN])
def test_every_member_is_told_everything_once_and_in_order(size: int) -> None:
    async def test(stage: Stage) -> None:
        members = [Member(stage.audience) for _ in range(size)]
        for number in range(1, 20):
            stage.show(number)
            await asyncio.sleep(0)
        await stage.settle()
        assert all(member.told == lines(*range(1, 20)) for member in members)

    run(test)


def test_what_comes_together_is_one_write() -> None:
    async def test(stage: Stage) -> None:
        members = [Member(stage.audience) for _ in range(3)]
        stage.show(1, 2, 3)
        await stage.settle()
        assert [member.writes for member in members] == [1, 1, 1]

    run(test)


def test_whether_one_line_alone_waits_is_asked_of_who_comes_next() -> None:
    async def test(stage: Stage) -> None:
        audience = stage.audience
        for _ in range(3):
            Member(audience)
        stage.show(1)
        assert audience.lone
        audience.send(2)
        assert audience.lone
        stage.show(2)
        assert not audience.lone
        audience.send(1)
        assert not audience.lone  # all of this round have been told
        audience.send(1)
        assert audience.lone  # the two who were told of the first line alone

    run(test)


def test_who_joins_later_is_told_what_came_later() -> None:
    async def test(stage: Stage) -> None:
        early = Member(stage.audience)
        stage.show(1)
        late = Member(stage.audience)  # before the first has been told
        stage.show(2)
        await stage.settle()
        assert early.told == lines(1, 2) and late.told == lines(2)

    run(test)


def test_who_is_slow_holds_up_nobody_and_misses_nothing() -> None:
    async def test(stage: Stage) -> None:
        slow, quick = Member(stage.audience, flowing=False), Member(stage.audience)
        stage.show(1)
        await stage.settle()
        stage.show(2)
        await stage.settle()
        assert quick.told == lines(1, 2) and not slow.told
        slow.catch_up()
        assert slow.told == lines(1, 2)

    run(test)


def test_who_is_too_far_behind_is_expired_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "LINES_MAX", 4)

    async def test(stage: Stage) -> None:
        slow, quick = Member(stage.audience, flowing=False), Member(stage.audience)
        for number in range(1, 11):
            stage.show(number)
            await stage.settle()
        assert "fell 4 events behind" in slow.expired
        assert quick.told == lines(*range(1, 11)) and not quick.expired

    run(test)


def test_more_than_a_connection_buffers_is_given_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audiences, "WRITE_BYTES", 4)

    async def test(stage: Stage) -> None:
        member = Member(stage.audience)
        stage.show(1, 2, 3, 4, 5)
        await stage.settle()
        assert member.told == lines(1, 2, 3, 4, 5) and member.writes == 3

    run(test)


def test_a_member_that_fails_is_closed_and_the_others_are_told() -> None:
    async def test(stage: Stage) -> None:
        broken, whole = Member(stage.audience), Member(stage.audience)
        broken.catch_up = lambda: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        stage.show(1)
        await stage.settle()
        stage.show(2)
        await stage.settle()
        assert broken.closed and whole.told == lines(1, 2)

    run(test)


def test_what_everybody_was_told_is_let_go_of() -> None:
    async def test(stage: Stage) -> None:
        slow, _quick = Member(stage.audience, flowing=False), Member(stage.audience)
        stage.show(1, 2, 3)
        await stage.settle()
        assert stage.audience.held == 3
        slow.catch_up()
        stage.show(4)
        await stage.settle()
        assert stage.audience.held == 1
        slow.catch_up()
        stage.show(5)
        slow.catch_up()
        await stage.settle()
        assert stage.audience.held == 0

    run(test)


def test_the_last_to_leave_ends_it() -> None:
    async def test(stage: Stage) -> None:
        members = [Member(stage.audience) for _ in range(2)]
        stage.show(1)
        members[0].close()
        assert not stage.emptied and stage.audience.count == 1
        members[1].close()
        members[1].close()
        await stage.settle()
        assert stage.emptied == 1

    run(test)
