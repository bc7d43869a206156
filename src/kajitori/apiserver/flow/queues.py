"""The queues of one priority level: shuffle sharding in, start-time fair queuing out. Pure.

A flow is dealt a hand of a few of the level's queues and joins the one with the least work waiting: a flow that floods
fills its own hand, and another flow almost always holds a queue that it does not. Among queues, the next to go is the
one that has had the least service: every queue has a virtual time, that of its next request, which moves ahead by the
work (seats x seconds) that its requests took. (Goyal, Vin, Cheng: "Start-time Fair Queueing", 1996.)
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

ESTIMATED_S = 0.003
"""How long a request is taken to run until it has: upstream's estimate."""


class QueueShape(NamedTuple):
    """`length_max` waiting requests in each queue; who comes to a full one is refused."""

    queues: int
    hand_size: int
    length_max: int


@dataclass(eq=False, slots=True)
class Waiting:
    """One request that waits. `owner` is the shell's business."""

    schema: str
    width: int
    arrived_s: float
    owner: object
    queue: int = -1
    queued: bool = False
    started_s: float = 0.0


def deal(flow: str, shape: QueueShape) -> tuple[int, ...]:
    """The hand of a flow: distinct queues, the same ones each time."""
    value = int.from_bytes(hashlib.sha256(flow.encode()).digest()[:16])
    hand: list[int] = []
    for dealt in range(min(shape.hand_size, shape.queues)):
        value, card = divmod(value, shape.queues - dealt)
        for earlier in sorted(hand):
            if card >= earlier:
                card += 1
        hand.append(card)
    return tuple(hand)


class FairQueues:
    """At most `queues * length_max` requests wait."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[Waiting]] = {}
        self._seats: dict[int, int] = {}
        self._tags: dict[int, float] = {}
        self._now = 0.0
        self.waiting = 0
        self.seats = 0

    def join(self, waiting: Waiting, hand: tuple[int, ...], length_max: int) -> bool:
        """False when the best queue of the hand is full."""
        queue = min(hand, key=lambda q: (self._seats.get(q, 0), self._tags.get(q, 0.0)))
        line = self._lines.get(queue)
        if line is None:
            line = self._lines[queue] = deque()
            self._tags[queue] = max(self._now, self._tags.get(queue, 0.0))
        elif len(line) >= length_max:
            return False
        waiting.queue, waiting.queued = queue, True
        line.append(waiting)
        self._count(waiting, 1)
        return True

    def length(self, queue: int) -> int:
        return len(self._lines.get(queue, ()))

    def first(self) -> Waiting | None:
        """Whose turn it is."""
        if not self._lines:
            return None
        return self._lines[min(self._lines, key=self._tags.__getitem__)][0]

    def take(self, waiting: Waiting) -> None:
        """What `first` gave is going to run."""
        self._now = self._tags[waiting.queue]
        self._tags[waiting.queue] += waiting.width * ESTIMATED_S
        self.leave(waiting)

    def leave(self, waiting: Waiting) -> None:
        """It runs, or waits no longer."""
        waiting.queued = False
        line = self._lines[waiting.queue]
        line.remove(waiting)
        if not line:
            del self._lines[waiting.queue]
        self._count(waiting, -1)

    def finished(self, waiting: Waiting, duration_s: float) -> None:
        """It took as long as it took, not as long as was estimated."""
        if waiting.queue in self._tags:
            self._tags[waiting.queue] += waiting.width * (duration_s - ESTIMATED_S)
        if not self._lines:
            self._forget()

    def _forget(self) -> None:
        """Nobody waits: what was served before counts no more, and the numbers stay small."""
        self._tags.clear()
        self._now = 0.0

    def _count(self, waiting: Waiting, sign: int) -> None:
        self.waiting += sign
        self.seats += sign * waiting.width
        self._seats[waiting.queue] = self._seats.get(waiting.queue, 0) + sign * waiting.width

    def lines(self) -> Iterator[tuple[int, list[Waiting], float]]:
        """Index, who waits, virtual time; only queues in which somebody does."""
        for queue, line in sorted(self._lines.items()):
            yield queue, list(line), self._tags[queue]
