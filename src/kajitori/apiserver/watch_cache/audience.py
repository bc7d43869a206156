"""Watchers who are shown the same lines: one log of them, and for each watcher the place in it that it has come to.

An event costs the same for one watcher as for hundreds until it is written to their connections. Who reads slowly
stays behind in the log without holding a copy of anything; who falls too far behind is told to list again.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from kajitori.apiserver.watch_cache.entry import CachedEvent
from kajitori.apiserver.watch_cache.outbox import Outbox
from kajitori.apiserver.watch_cache.selection import Selection

log = logging.getLogger(__name__)

FEW = 8
"""An audience of so many waits for no crowd."""
LINES_MAX = 4096
"""So far may a watcher fall behind, beyond what its connection buffers. The log shares its bytes with all of them."""
WRITE_BYTES = 64 * 1024
"""What is written to a connection before it is asked whether it takes more."""

Line = Callable[[CachedEvent, str], bytes]
"""An event of a type as one line of the stream, newline included."""


def plain_line(event: CachedEvent, type: str) -> bytes:
    return event.line(type)


class Member(Protocol):
    at: int
    """How many lines of the audience it has been given, or has come too late for."""
    flowing: bool
    """Whether what the audience is shown can be written to it."""

    def catch_up(self) -> None: ...

    def expire(self, message: str) -> None: ...

    def close(self) -> None: ...


class Outboxes(NamedTuple):
    """A crowd is told through one of its own, so that a lone controller never waits for the news of hundreds."""

    few: Outbox
    crowds: Outbox


class Audience:
    """A `Watcher` of its kind for all its members. `on_empty` is called when the last has left."""

    def __init__(self, selection: Selection, line: Line, outboxes: Outboxes, on_empty: Callable[[], None]) -> None:
        self.selection = selection
        self.end = 0
        """How many lines there have been."""
        self._line = line
        self._outboxes = outboxes
        self._on_empty = on_empty
        self._members: dict[Member, None] = {}
        self._lines: list[bytes] = []
        self._round: list[Member] | None = None
        self._round_until = 0
        self._waits = False
        self._cut: Sequence[bytes] = ()
        self._cut_at = self._cut_end = 0

    # as its members see it

    def join(self, member: Member) -> None:
        member.at = self.end
        self._members[member] = None

    def leave(self, member: Member) -> None:
        if self._members.pop(member, self) is None and not self._members:
            self._on_empty()

    def lines(self, at: int) -> Sequence[bytes]:
        """The next ones after a place that is not the end; the same object for all who ask for the same."""
        if at != self._cut_at or self.end != self._cut_end:
            self._cut_at, self._cut_end, self._cut = at, self.end, self._next(at - self.end + len(self._lines))
        return self._cut

    def _next(self, first: int) -> Sequence[bytes]:
        size = 0
        for number in range(first, len(self._lines)):
            size += len(self._lines[number])
            if size >= WRITE_BYTES:
                return self._lines[first : number + 1]
        return self._lines[first:]

    # as the cache sees it

    @property
    def count(self) -> int:
        return len(self._members)

    @property
    def held(self) -> int:
        """Lines that some member has not been given yet, at the end of the last round."""
        return len(self._lines)

    def push(self, event: CachedEvent, type: str) -> None:
        self._lines.append(self._line(event, type))
        self.end += 1
        if not self._waits:
            self._wait()
        if len(self._lines) > LINES_MAX:
            self._leave_behind()

    def expire(self, message: str) -> None:
        for member in list(self._members):
            member.expire(message)

    def close(self) -> None:
        for member in list(self._members):
            member.close()

    def _wait(self) -> None:
        self._waits = True
        (self._outboxes.few if len(self._members) <= FEW else self._outboxes.crowds).add(self)

    def _leave_behind(self) -> None:
        self._forget_told()
        oldest = self.end - LINES_MAX
        for member in [member for member in self._members if member.at < oldest]:
            member.expire(f"the watch fell {LINES_MAX} events behind and was ended: list again")
        self._forget_told()

    # as the outbox sees it

    @property
    def lone(self) -> bool:
        if self._round is None:
            return self.end - self._round_until == 1
        return bool(self._round) and self.end - self._round[-1].at == 1

    def send(self, room: int) -> int:
        if self._round is None:
            self._round = list(self._members)
            self._round.reverse()  # taken from its end, in the order in which they came
            self._round_until = self.end
        round, told = self._round, 0
        while round and told < room:
            member = round.pop()
            if member.flowing:
                self._tell(member)
                told += 1
        if told < room:
            self._end_round()
        return told

    @staticmethod
    def _tell(member: Member) -> None:
        try:
            member.catch_up()
        except Exception:
            log.exception("a watcher could not be told of a change and is ended")
            member.close()

    def _end_round(self) -> None:
        self._round = None
        self._forget_told()
        self._waits = False
        if self.end > self._round_until:
            self._wait()

    def _forget_told(self) -> None:
        first = self.end - len(self._lines)
        told = min((member.at for member in self._members), default=self.end) - first
        if told > 0:
            del self._lines[:told]
            self._cut, self._cut_end = (), 0
