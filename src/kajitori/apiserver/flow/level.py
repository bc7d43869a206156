"""One priority level: seats in use, and who waits for one. Pure: events in, decisions out."""

from collections.abc import Iterator

from kajitori.api.meta import Object
from kajitori.apiserver.flow.limits import SeatLimits
from kajitori.apiserver.flow.queues import FairQueues, QueueShape, Waiting

UNLIMITED = 1 << 30
_DEFAULT_SHAPE = QueueShape(64, 8, 50)


class Level:
    """`limit` moves between the bounds of `seats` as levels lend to each other; who runs already is never stopped."""

    def __init__(self, name: str, uid: str, spec: Object, seats: SeatLimits) -> None:
        self.name = name
        self.in_use = 0
        self.peak = 0
        """Most seats in use at once since the seats were last divided."""
        self.smoothed = self.target = 0.0
        """Demand, smoothed; and the seats that it should have, which others and its bounds may not allow."""
        self.queues = FairQueues()
        self.configure(uid, spec, seats)

    def configure(self, uid: str, spec: Object, seats: SeatLimits) -> None:
        """Those who wait go on waiting."""
        self.uid, self.seats = uid, seats
        self.exempt = spec.get("type") == "Exempt"
        self.limit = UNLIMITED if self.exempt else seats.nominal
        self.target = self.target or seats.nominal
        self.shape = _shape(spec)

    @property
    def demand(self) -> int:
        """How many seats it could use now."""
        return self.in_use + self.queues.seats

    @property
    def width_max(self) -> int:
        """So that no request keeps a whole level to itself, nor more than its share for one queue of a hand."""
        nominal = self.seats.nominal
        share = -(-nominal * 15 // 100)
        return max(1, share if self.shape is None else min(share, nominal // self.shape.hand_size))

    def has_room(self, width: int) -> bool:
        """A request wider than the level runs when it is alone."""
        return self.in_use + width <= self.limit or self.in_use == 0

    def refuses(self, waiting: Waiting, hand: tuple[int, ...]) -> str:
        """Why it may not even wait, in upstream's word; "" when it now waits."""
        if self.shape is None:
            return "concurrency-limit"
        return "" if self.queues.join(waiting, hand, self.shape.length_max) else "queue-full"

    def admitted(self) -> Iterator[Waiting]:
        """Those whose turn has come, one after the other, as far as there are seats."""
        while (first := self.queues.first()) is not None and self.has_room(first.width):
            self.queues.take(first)
            self.seat(first.width)
            yield first

    def seat(self, width: int) -> None:
        self.in_use += width
        if self.in_use > self.peak:
            self.peak = self.in_use


def _shape(spec: Object) -> QueueShape | None:
    response = (spec.get("limited") or {}).get("limitResponse") or {}
    if response.get("type") != "Queue":
        return None
    queuing = response.get("queuing") or {}
    return QueueShape(
        queuing.get("queues") or _DEFAULT_SHAPE.queues,
        queuing.get("handSize") or _DEFAULT_SHAPE.hand_size,
        queuing.get("queueLengthLimit") or _DEFAULT_SHAPE.length_max,
    )
