"""What is counted of the requests of one schema: plain numbers, read when somebody scrapes."""

from bisect import bisect_left

WAIT_BUCKETS_S = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
LENGTH_BUCKETS = (0, 10, 25, 50, 100, 250, 500, 1000)


class Tally:
    __slots__ = (
        "dispatched",
        "executing",
        "lengths",
        "lengths_sum",
        "rejected",
        "seats",
        "waited",
        "waited_sum_s",
        "waiting",
        "waiting_seats",
    )

    def __init__(self) -> None:
        self.dispatched = self.executing = self.seats = 0
        self.waiting = self.waiting_seats = 0
        self.rejected: dict[str, int] = {}
        self.waited = {True: [0] * (len(WAIT_BUCKETS_S) + 1), False: [0] * (len(WAIT_BUCKETS_S) + 1)}
        """Those that waited, by whether they ran in the end."""
        self.waited_sum_s = {True: 0.0, False: 0.0}
        self.lengths = [0] * (len(LENGTH_BUCKETS) + 1)
        self.lengths_sum = 0

    @property
    def busy(self) -> bool:
        return bool(self.executing or self.waiting)

    def enqueued(self, width: int, length: int) -> None:
        self.waiting += 1
        self.waiting_seats += width
        self.lengths[bisect_left(LENGTH_BUCKETS, length)] += 1
        self.lengths_sum += length

    def dequeued(self, width: int, waited_s: float, seated: bool) -> None:
        self.waiting -= 1
        self.waiting_seats -= width
        self.waited[seated][bisect_left(WAIT_BUCKETS_S, waited_s)] += 1
        self.waited_sum_s[seated] += waited_s

    def refused(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
