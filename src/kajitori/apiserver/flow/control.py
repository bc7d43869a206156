"""Every request's seat: at once when there is one, else a place in a queue, else 429.

flow = control.flow_of(attributes)
waited = None if control.enter(flow, width, mutating) else await control.wait(flow, width, mutating)
try: ...
finally: control.leave(flow, width, mutating, waited)

All this happens on the event loop, so nothing is locked. With seats to spare a request costs two dictionary look-ups
and a few additions; there is no timer and no task.
"""

import asyncio
import math
from collections.abc import Callable

from kajitori.api.errors import TooManyRequests
from kajitori.api.meta import name_of
from kajitori.api.resource import Resource
from kajitori.apiserver.flow.configuration import Configuration, level_name
from kajitori.apiserver.flow.level import Level
from kajitori.apiserver.flow.limits import Wish, allocate
from kajitori.apiserver.flow.matching import distinguisher
from kajitori.apiserver.flow.queues import Waiting, deal
from kajitori.apiserver.flow.retry_after import RetryAfter
from kajitori.apiserver.flow.tally import Tally
from kajitori.apiserver.http_types import Query
from kajitori.apiserver.interfaces import Attributes, Objects
from kajitori.kit.clock import Clock, Timer
from kajitori.kit.numbers import unsigned

WAIT_S_MAX = 15.0
"""A quarter of upstream's request timeout: who has waited so long is refused."""
DIVIDE_EVERY_S = 1.0
"""Seats are divided anew at most so often, and only while somebody is short of them."""
OBJECTS_A_SEAT, LIST_WIDTH_MAX = 100, 10
_HALF_LIFE_S = 300.0
_REMEMBERED_MAX = 4096
"""Requests of one user and kind share an entry; when there are more, all are forgotten and looked up again."""
_PATH_MAX = 256
_REFUSAL = "Too many requests, please try again later."
Future = asyncio.Future[None]


class Flow:
    """Requests that are treated alike: a schema's, of one user or one namespace."""

    __slots__ = ("headers", "identity", "level", "lines", "tally")

    def __init__(self, level: Level, tally: Tally, identity: str, schema_uid: str) -> None:
        self.level, self.tally, self.identity = level, tally, identity
        self.headers = (
            ("X-Kubernetes-PF-FlowSchema-UID", schema_uid),
            ("X-Kubernetes-PF-PriorityLevel-UID", level.uid),
        )
        self.lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers).encode("latin-1")
        """The same headers as they stand on the wire."""


class FlowControl:
    """`total` is upstream's max-requests-inflight and max-mutating-requests-inflight together. `count_of` a kind says
    how many objects there are; `next_turn` calls back in the event loop's next turn."""

    def __init__(
        self,
        clock: Clock,
        total: int = 600,
        count_of: Callable[[Resource], int] = lambda resource: 0,
        next_turn: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._clock = clock
        self._total = total
        self._count_of = count_of
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._retry: dict[str, RetryAfter] = {}
        self._stops: list[Callable[[], None]] = []
        self._divided_s = -math.inf
        self._timer: Timer | None = None
        self._next_turn = next_turn
        self.tallies: dict[tuple[str, str], Tally] = {}
        """By names of level and schema."""
        self.reading = self.mutating = 0
        self.configuration = Configuration(total)
        self.configuration.changed = self._changed

    def start(self, objects: Objects) -> None:
        self._stops = self.configuration.follow(objects)

    def stop(self) -> None:
        for stop in self._stops:
            stop()
        if self._timer is not None:
            self._timer.cancel()

    def flow_of(self, asked: Attributes) -> Flow:
        user = asked.user
        where = asked.namespace if asked.resource else asked.path
        key = (user.name, where, asked.verb, asked.resource, asked.group, asked.subresource, user.groups)
        flow = self._flows.get(key)
        if flow is None:
            flow = self._classify(asked)
            if len(where) <= _PATH_MAX:
                if len(self._flows) >= _REMEMBERED_MAX:
                    self._flows.clear()
                self._flows[key] = flow
        return flow

    def _classify(self, asked: Attributes) -> Flow:
        schema = self.configuration.schema_of(asked)
        level, name = self.configuration.levels[level_name(schema)], name_of(schema)
        tally = self.tallies.get((level.name, name))
        if tally is None:
            tally = self.tallies[level.name, name] = Tally()
        identity = f"{name}\0{distinguisher(schema['spec'], asked)}"
        return Flow(level, tally, identity, schema["metadata"].get("uid", ""))

    def width_of(self, flow: Flow, resource: Resource, query: Query) -> int:
        """Seats of a LIST, or of a WATCH that begins with one: by the number of objects of the kind."""
        objects = self._count_of(resource)
        if objects <= OBJECTS_A_SEAT:
            return 1
        objects = unsigned(query.get("limit"), objects) or objects
        begins_here = query.flag("sendInitialEvents") or query.get("resourceVersion") in ("", "0")
        if query.flag("watch") and not begins_here:
            return 1
        return max(1, min(-(-objects // OBJECTS_A_SEAT), LIST_WIDTH_MAX, flow.level.width_max))

    def enter(self, flow: Flow, width: int, mutating: bool) -> bool:
        """Whether there was a seat. When there was, a `leave` follows."""
        level = flow.level
        in_use = level.in_use + width
        if level.queues.waiting or (in_use > level.limit and level.in_use):
            return False
        level.in_use = in_use
        if in_use > level.peak:
            level.peak = in_use
        self._count(flow.tally, width, mutating)
        return True

    def _count(self, tally: Tally, width: int, mutating: bool) -> None:
        tally.dispatched += 1
        tally.executing += 1
        tally.seats += width
        if mutating:
            self.mutating += 1
        else:
            self.reading += 1

    async def wait(self, flow: Flow, width: int, mutating: bool) -> Waiting:
        """For a seat, after `enter` found none. Raises TooManyRequests."""
        level, tally = flow.level, flow.tally
        self._short()
        if self.enter(flow, width, mutating):
            return Waiting("", width, self._clock.monotonic(), None)
        owner: Future = asyncio.get_running_loop().create_future()
        waiting = Waiting(flow.identity, width, self._clock.monotonic(), owner)
        hand = deal(flow.identity, level.shape) if level.shape is not None else ()
        if reason := level.refuses(waiting, hand):
            raise self._refuse(flow, reason)
        tally.enqueued(width, level.queues.length(waiting.queue))
        timer = self._clock.call_later(WAIT_S_MAX, lambda: _give_up(owner))
        try:
            await owner
        except TimeoutError:
            raise self._refuse(flow, "time-out") from None
        except asyncio.CancelledError:
            if owner.done() and not owner.cancelled() and owner.exception() is None:
                self._release(flow.level, width)  # the seat came in the same moment
            else:
                tally.refused("cancelled")
            raise
        finally:
            timer.cancel()
            waited_s = self._clock.monotonic() - waiting.arrived_s
            seated = owner.done() and not owner.cancelled() and owner.exception() is None
            if waiting.queued:
                level.queues.leave(waiting)
            tally.dequeued(width, waited_s, seated)
        self._count(tally, width, mutating)
        return waiting

    def leave(self, flow: Flow, width: int, mutating: bool, waited: Waiting | None) -> None:
        tally = flow.tally
        tally.executing -= 1
        tally.seats -= width
        if mutating:
            self.mutating -= 1
        else:
            self.reading -= 1
        level = flow.level
        if waited is not None and waited.queue >= 0:
            level.queues.finished(waited, self._clock.monotonic() - waited.started_s)
        if width > 1 and self._next_turn is not None:
            # A LIST is answered without a pause: its seats are returned in the loop's next turn, so that not every
            # LIST that has arrived is served before anything else is.
            self._next_turn(lambda: self._release(level, width))
            return
        level.in_use -= width
        if level.queues.waiting:
            self._dispatch(level)

    def _release(self, level: Level, width: int) -> None:
        level.in_use -= width
        if level.queues.waiting:
            self._dispatch(level)

    def _dispatch(self, level: Level) -> None:
        for waiting in level.admitted():
            owner = waiting.owner
            assert isinstance(owner, asyncio.Future)
            if owner.done():  # it has given up, and its task has not run since
                level.in_use -= waiting.width
            else:
                waiting.started_s = self._clock.monotonic()
                owner.set_result(None)

    def _refuse(self, flow: Flow, reason: str) -> TooManyRequests:
        flow.tally.refused(reason)
        retry = self._retry.setdefault(flow.level.name, RetryAfter())
        return TooManyRequests(_REFUSAL, retry.refused(self._clock.monotonic()))

    # lending and borrowing

    def _short(self) -> None:
        """Somebody found no seat: see who has some to lend."""
        if self._timer is not None:
            return
        elapsed_s = self._clock.monotonic() - self._divided_s
        if elapsed_s >= DIVIDE_EVERY_S:
            self._divide(elapsed_s)
        self._timer = self._clock.call_later(max(DIVIDE_EVERY_S - elapsed_s, 0.0) or DIVIDE_EVERY_S, self._again)

    def _again(self) -> None:
        self._timer = None
        self._divide(self._clock.monotonic() - self._divided_s)
        if any(level.queues.waiting for level in self.configuration.levels.values()):
            self._timer = self._clock.call_later(DIVIDE_EVERY_S, self._again)

    def _divide(self, elapsed_s: float) -> None:
        """Each level keeps what it has needed lately, up to its own share; the rest goes to who can use it."""
        self._divided_s = self._clock.monotonic()
        levels = [level for level in self.configuration.levels.values() if not level.exempt]
        fresh = elapsed_s > 10 * DIVIDE_EVERY_S  # what was needed long ago says nothing
        keep = 0.5 ** (elapsed_s / _HALF_LIFE_S) if not fresh else 0.0
        wishes = []
        for level in levels:
            peak = level.demand if fresh else max(level.peak, level.demand)
            level.smoothed = max(float(peak), keep * level.smoothed + (1 - keep) * peak)
            lower = max(level.seats.lower, min(level.seats.nominal, peak))
            level.target = max(level.smoothed, lower)
            wishes.append(Wish(level.target, lower, level.seats.upper))
            level.peak = level.in_use
        for level, seats in zip(levels, allocate(self._total, wishes), strict=True):
            level.limit = seats
            self._dispatch(level)

    def _changed(self) -> None:
        self._flows.clear()
        known = {(level_name(schema), name_of(schema)) for schema in self.configuration.schemas}
        for key in [key for key, tally in self.tallies.items() if key not in known and not tally.busy]:
            del self.tallies[key]
        for name in self._retry.keys() - self.configuration.levels.keys():
            del self._retry[name]
        for level in self.configuration.levels.values():
            self._dispatch(level)


def _give_up(owner: Future) -> None:
    if not owner.done():
        owner.set_exception(TimeoutError())
