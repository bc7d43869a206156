"""Sending what was pushed: a few connections a turn of the event loop, each all that waits for it in one write.

One change may concern hundreds of watchers, and each costs a TLS record and a system call, 20 us together. Sent in one
go they would hold up every request for milliseconds, and take all of the processor when changes are many. So requests
are served in between, and after a round over many connections there is a rest as long as the round was: what changes
meanwhile shares the records of the next. The busier the server, the less an event costs; where few watch, none waits.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from kajitori.apiserver.http.encoding import chunk
from kajitori.kit.clock import Clock

SENDERS_A_TURN = 32
REST_S_MAX = 0.002
"""A watcher is told at most so much later than it could be."""


class Sender(Protocol):
    def send(self) -> None:
        """Write what waits."""


class Outbox:
    """One a server. Holds every sender at most once, so it is bounded by the connections."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: deque[Sender] = deque()
        self._scheduled = False
        self._began_s = 0.0
        self._rests_until_s = 0.0
        self._pieces: Sequence[bytes] = ()
        self._framed = b""

    def add(self, sender: Sender) -> None:
        """Let it `send` soon."""
        self._waiting.append(sender)
        if self._scheduled:
            return
        self._scheduled = True
        left_s = self._rests_until_s - self._clock.monotonic()
        if left_s > 0:
            self._clock.call_later(left_s, self._turn)
        else:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        waiting = self._waiting
        began_s = self._began_s or self._clock.monotonic()
        for _ in range(min(SENDERS_A_TURN, len(waiting))):
            waiting.popleft().send()
        if waiting:
            self._began_s = began_s
            asyncio.get_running_loop().call_soon(self._turn)
            return
        self._scheduled = False
        if self._began_s:
            now_s = self._clock.monotonic()
            self._rests_until_s = now_s + min(now_s - self._began_s, REST_S_MAX)
            self._began_s = 0.0

    def framed(self, pieces: Sequence[bytes]) -> bytes:
        """As one chunk of HTTP/1.1. Watchers of the same are sent the same, one after another: it is made once."""
        if pieces != self._pieces:
            self._pieces, self._framed = pieces, chunk(b"".join(pieces))
        return self._framed
