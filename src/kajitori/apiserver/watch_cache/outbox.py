"""Telling watchers: a few a turn of the event loop, and after a round over many a rest.

One change may concern hundreds of watchers, and each costs a TLS record and a system call, 15 us together. Told in one
go they would hold up every request for milliseconds, and take all of the processor when changes are many. So requests
are served in between, and what changes during a round and the rest after it shares the records of the next. The busier
the server, the less an event costs; where few watch, none waits.
"""

import asyncio
from collections import deque
from typing import Protocol

from kajitori.kit.clock import Clock

TOLD_A_TURN = 32
REST_ROUNDS = 3
"""So many times as long as the round was."""
REST_S_MAX = 0.003
"""Shorter, and few changes come together; longer, and a change is told later for little gain (docs/performance.md)."""


class Sender(Protocol):
    def send(self, room: int) -> int:
        """Tell at most so many watchers; returns how many it told: fewer, if it is done."""


class Outbox:
    """Holds every sender at most twice: in a round and in the next."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[Sender] = []
        self._round: deque[Sender] = deque()
        self._turns = 0
        self._began_s = 0.0
        self._rests_until_s = 0.0
        self._scheduled = False

    def add(self, sender: Sender) -> None:
        """Let it `send` in the next round, which is soon."""
        self._waiting.append(sender)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        left_s = self._rests_until_s - self._clock.monotonic()
        if left_s > 0:
            self._clock.call_later(left_s, self._begin)
        else:
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._round.extend(self._waiting)
        self._waiting.clear()
        self._turns, self._began_s = 0, self._clock.monotonic()
        self._turn()

    def _turn(self) -> None:
        self._turns += 1
        senders, room = self._round, TOLD_A_TURN
        while senders and room:
            told = senders[0].send(room)
            if told < room:
                senders.popleft()
            room -= told
        if senders:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._end_round()

    def _end_round(self) -> None:
        if self._turns > 1:
            now_s = self._clock.monotonic()
            self._rests_until_s = now_s + min((now_s - self._began_s) * REST_ROUNDS, REST_S_MAX)
        self._scheduled = False
        if self._waiting:
            self._schedule()
