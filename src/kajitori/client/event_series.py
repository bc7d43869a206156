"""Which events become new objects, which only count up an old one, and which are left out: decided without I/O.

The rules and numbers are upstream's event correlator's: equal events count up; more than ten that differ only in their
message within ten minutes are combined; a source that says too much about one object is silenced for a while.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from kajitori.api.meta import Object
from kajitori.api.times import timestamp

V = TypeVar("V")

# Series remembered; the one not seen for longest is forgotten, and would then begin anew with a count of 1.
REMEMBERED_MAX = 4096
SIMILAR_MAX = 10
SIMILAR_WITHIN_S = 600.0
BURST = 25.0
REFILL_PER_S = 1 / 300


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened to an object. `involved` is a v1.ObjectReference."""

    involved: Object
    type: str
    reason: str
    message: str
    at_s: float

    @property
    def namespace(self) -> str:
        """Where the event is stored; what happens to cluster-scoped objects is told in `default`."""
        return self.involved.get("namespace") or "default"


@dataclass(slots=True)
class Series:
    """Events that are one object in the API. `name` is empty until it has been created there."""

    message: str
    first_s: float
    last_s: float
    count: int = 0
    name: str = ""
    namespace: str = ""


@dataclass(slots=True)
class _Similar:
    since_s: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class _Remembered(Generic[V]):
    """A dictionary bounded by forgetting what was used longest ago."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, ...], V] = OrderedDict()

    def get(self, key: tuple[str, ...], make: Callable[[], V]) -> V:
        if key in self._entries:
            self._entries.move_to_end(key)
            return self._entries[key]
        if len(self._entries) >= REMEMBERED_MAX:
            self._entries.popitem(last=False)
        entry = self._entries[key] = make()
        return entry


class Correlator:
    """State of one source of events (a component on a host)."""

    def __init__(self) -> None:
        self._similar: _Remembered[_Similar] = _Remembered()
        self._series: _Remembered[Series] = _Remembered()
        self._buckets: _Remembered[_Bucket] = _Remembered()

    def take(self, event: Occurrence) -> Series | None:
        """The series the occurrence belongs to, counted up; None when it is to be left out."""
        about = tuple(
            event.involved.get(k, "") for k in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")
        )
        key, message = self._combine((*about, event.type, event.reason), event)
        series = self._series.get(key, lambda: Series(message, event.at_s, event.at_s, namespace=event.namespace))
        series.count += 1
        series.last_s = event.at_s
        series.message = message
        return series if self._may_speak(about, event.at_s) else None

    def _combine(self, kind: tuple[str, ...], event: Occurrence) -> tuple[tuple[str, ...], str]:
        similar = self._similar.get(kind, lambda: _Similar(event.at_s))
        if event.at_s - similar.since_s > SIMILAR_WITHIN_S:
            similar.messages.clear()
        similar.since_s = event.at_s
        similar.messages.add(event.message)
        if len(similar.messages) < SIMILAR_MAX:
            return (*kind, event.message), event.message
        similar.messages.pop()
        return kind, f"(combined from similar events): {event.message}"

    def _may_speak(self, about: tuple[str, ...], at_s: float) -> bool:
        bucket = self._buckets.get(about, lambda: _Bucket(BURST, at_s))
        bucket.tokens = min(BURST, bucket.tokens + (at_s - bucket.at_s) * REFILL_PER_S)
        bucket.at_s = at_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def event_object(event: Occurrence, series: Series, name: str, component: str, host: str) -> Object:
    """The v1.Event that shows a series' first occurrence."""
    source = {"component": component} | ({"host": host} if host else {})
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": event.namespace},
        "involvedObject": event.involved,
        "reason": event.reason,
        "message": series.message,
        "source": source,
        "firstTimestamp": timestamp(series.first_s),
        "lastTimestamp": timestamp(series.last_s),
        "count": series.count,
        "type": event.type,
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": host,
    }


def event_patch(series: Series) -> Object:
    """The merge patch that tells of another occurrence."""
    return {"count": series.count, "lastTimestamp": timestamp(series.last_s), "message": series.message}
