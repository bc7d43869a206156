"""What has been admitted against quotas and may not be stored yet, by namespace and the object's uid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kajitori.api.meta import Object, namespace_of, uid_of
from kajitori.api.quantity import Quantity
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.plugin import Kind
from kajitori.apiserver.admission.quota_usage import Usage
from kajitori.apiserver.interfaces import Objects
from kajitori.kit.clock import Clock


@dataclass(slots=True)
class Reservation:
    """`usage` is the whole of the object's, by quota; `instead_of` the resourceVersion that it replaces, empty for a
    new object."""

    kind: Kind
    instead_of: str
    usage: Mapping[str, Usage]
    until_s: float = 0.0
    settled: bool = False

    def document(self) -> Object:
        usage = {quota: {name: list(amount) for name, amount in of.items()} for quota, of in self.usage.items()}
        return {"kind": list(self.kind), "insteadOf": self.instead_of, "usage": usage}

    @classmethod
    def of_document(cls, document: Object) -> "Reservation":
        group, plural = document["kind"]
        usage = {
            quota: {name: Quantity(*amount) for name, amount in of.items()} for quota, of in document["usage"].items()
        }
        return cls((group, plural), document["insteadOf"], usage)


class Reservations:
    """One ends with the first word of its object, which may be that it has gone again; or `kept_s` after it was heard
    of, when its write must have failed."""

    def __init__(self, objects: Objects, clock: Clock, resource_of: Callable[[Kind], Resource | None]) -> None:
        self._objects = objects
        self._clock = clock
        self._resource_of = resource_of
        self._held: dict[str, dict[str, Reservation]] = {}
        self._followed: dict[Kind, Callable[[], None]] = {}

    def add(self, namespace: str, uid: str, reservation: Reservation, kept_s: float) -> None:
        reservation.until_s = self._clock.monotonic() + kept_s
        held = self._held.setdefault(namespace, {})
        before = held.get(uid)
        if before is not None and before.instead_of == reservation.instead_of:
            reservation.usage = _most(before.usage, reservation.usage)  # one of the two will be stored
        held[uid] = reservation
        self._follow(reservation.kind)

    def replace(self, namespace: str, uids: Mapping[str, Reservation], kept_s: float) -> None:
        """With what another server or this one has written; what was known keeps its age and its end."""
        held = self._held.setdefault(namespace, {})
        for uid in held.keys() - uids.keys():
            del held[uid]
        until_s = self._clock.monotonic() + kept_s
        for uid, new in uids.items():
            old = held.get(uid)
            same = old is not None and old.instead_of == new.instead_of
            new.until_s, new.settled = (old.until_s, old.settled) if old is not None and same else (until_s, False)
            held[uid] = new
            self._follow(new.kind)
        if not held:
            del self._held[namespace]

    def active(self, namespace: str) -> dict[str, Reservation]:
        held = self._held.get(namespace)
        if not held:
            return {}
        now_s = self._clock.monotonic()
        return {uid: one for uid, one in held.items() if not one.settled and one.until_s >= now_s}

    def held(self, namespace: str) -> dict[str, Reservation]:
        """For `restore`."""
        return dict(self._held.get(namespace, ()))

    def restore(self, namespace: str, held: dict[str, Reservation]) -> None:
        """As it was, without what has been added since."""
        self._held[namespace] = held

    def drop_settled(self, namespace: str) -> None:
        kept = self.active(namespace)
        if kept:
            self._held[namespace] = kept
        else:
            self._held.pop(namespace, None)

    def stop(self) -> None:
        for unsubscribe in self._followed.values():
            unsubscribe()

    def _follow(self, kind: Kind) -> None:
        resource = self._resource_of(kind)
        if kind in self._followed or resource is None:
            return

        def changed(event: str, obj: Object) -> None:
            held = self._held.get(namespace_of(obj))
            one = held.get(uid_of(obj)) if held else None
            if one is not None and (event == "DELETED" or obj["metadata"].get("resourceVersion") != one.instead_of):
                one.settled = True

        # Claimed first: subscribing calls back at once.
        self._followed[kind] = lambda: None
        self._followed[kind] = self._objects.subscribe(resource, changed)


def _most(one: Mapping[str, Usage], other: Mapping[str, Usage]) -> dict[str, Usage]:
    most = {quota: dict(usage) for quota, usage in one.items()}
    for quota, usage in other.items():
        of = most.setdefault(quota, {})
        for name, amount in usage.items():
            if name not in of or of[name].nanos < amount.nanos:
                of[name] = amount
    return most
