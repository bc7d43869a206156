"""Telling watchers: a few a turn of the event loop, and where many are told again and again, not of one change alone.

One change may concern hundreds of watchers, and each costs a TLS record and a system call, 15 us together. Told in one
go they would hold up every request for milliseconds, and take all of the processor when changes are many. So requests
are served in between, and what changes meanwhile shares the records of who is told later. The busier the server, the
less an event costs; where few watch, or little changes, none waits. A round rests when one line alone would be sent, a
few times; never longer, so that its last watchers do not wait for rests and requests together. And it rests on the way
and not at the end: a client that watches often itself gets its news in portions then, and answers in between.
"""

import asyncio
from collections import deque
from typing import Protocol

from kajitori.kit.clock import Clock

TOLD_A_TURN = 12
"""A request passes through the event loop four times before its answer, and waits for a turn each time."""
MANY = 50
"""Watchers in one round. Fewer, and there is nothing to save by a rest: most of them are told of different changes."""
REST_S = 0.001
RESTS_MAX = 6
"""A round. Fewer, and few changes come together; more, and a change is told later for little gain
(docs/performance.md)."""
BUSY_S = 0.005
"""A round that begins so soon after one over many rests."""


class Sender(Protocol):
    def send(self, room: int) -> int:
        """Tell at most so many watchers; returns how many it told: fewer, if it is done."""

    @property
    def lone(self) -> bool:
        """Whether one line alone waits for the next one."""


class Outbox:
    """Holds every sender at most twice: in a round and in the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[Sender] = []
        self._round: deque[Sender] = deque()
        self._told = self._rests = 0
        self._busy_until_s = 0.0
        self._scheduled = False

    def add(self, sender: Sender) -> None:
        """Let it `send` in the next round, which is soon."""
        self._waiting.append(sender)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._round.extend(self._waiting)
        self._waiting.clear()
        self._told, self._rests = 0, RESTS_MAX if self._clock.monotonic() < self._busy_until_s else 0
        self._turn()

    def _turn(self) -> None:
        senders, room = self._round, TOLD_A_TURN
        while senders and room:
            told = senders[0].send(room)
            if told < room:
                senders.popleft()
            room -= told
            self._told += told
        if senders:
            self._pause(rest=self._rests > 0 and senders[0].lone)
        else:
            self._end_round()

    def _pause(self, *, rest: bool) -> None:
        if rest:
            self._rests -= 1
            self._clock.call_later(REST_S, self._turn)
        else:
            asyncio.get_running_loop().call_soon(self._turn)

    def _end_round(self) -> None:
        if self._told > MANY:
            self._busy_until_s = self._clock.monotonic() + BUSY_S
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._begin)
