"""ResourceQuota: nothing is created beyond what its namespace may use.

Usage is summed from what is stored, plus what this server has just let through and has not seen stored yet; a decision
and its reservation happen without a pause, so that two requests cannot take the same last place. Each server sees its
own reservations only: several servers on one store may overshoot by what they admit within the same moment.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kajitori.api import core
from kajitori.api.meta import Object, namespace_of, uid_of
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.admission.quota_usage import (
    Usage,
    exceeded,
    falls_under,
    kind_counted,
    total,
    unspecified,
    usage_of,
)
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation
from kajitori.kit.clock import Clock

# A write that has not shown up after this long has failed.
_RESERVED_S = 5.0
_UNCOUNTED: frozenset[Kind] = frozenset((("", "events"), ("events.k8s.io", "events"), ("", "bindings")))


@dataclass(frozen=True, slots=True)
class _Reservation:
    """`obj` as it will be; `instead_of` is the resourceVersion that it replaces, empty for a new object."""

    obj: Object
    instead_of: str
    until_s: float


class QuotaLedger:
    """What is used, by namespace and kind."""

    def __init__(self, objects: Objects, registry: Registry, clock: Clock) -> None:
        self._objects = objects
        self._registry = registry
        self._clock = clock
        self._reserved: dict[tuple[str, Kind], dict[str, _Reservation]] = {}
        self._followed: dict[Kind, Callable[[], None]] = {}

    def reserve(self, namespace: str, kind: Kind, obj: Object, instead_of: str) -> None:
        self._follow(kind)
        until_s = self._clock.monotonic() + _RESERVED_S
        self._reserved.setdefault((namespace, kind), {})[uid_of(obj)] = _Reservation(obj, instead_of, until_s)

    def _follow(self, kind: Kind) -> None:
        """A reservation ends with the first word of its object, which may be that it has gone again."""
        resource = self.resource_of(kind)
        if kind in self._followed or resource is None:
            return

        def changed(event: str, obj: Object) -> None:
            reserved = self._reserved.get((namespace_of(obj), kind))
            reservation = reserved.get(uid_of(obj)) if reserved else None
            if reserved and reservation and obj["metadata"].get("resourceVersion") != reservation.instead_of:
                del reserved[uid_of(obj)]

        self._followed[kind] = lambda: None
        self._followed[kind] = self._objects.subscribe(resource, changed)

    def stop(self) -> None:
        for unsubscribe in self._followed.values():
            unsubscribe()

    def used(self, quota: Object) -> Usage:
        """What counts against a quota, by the names of its `hard`."""
        namespace, names = quota["metadata"]["namespace"], list(quota["spec"].get("hard") or {})
        kinds = {kind for name in names if (kind := kind_counted(name)) is not None}
        usages = (
            usage_of(kind, obj)
            for kind in kinds
            for obj in self._present(namespace, kind)
            if falls_under(quota, kind, obj)
        )
        return total(usages, names)

    def resource_of(self, kind: Kind) -> Resource | None:
        """The kind in the version that is stored; None when it is not served."""
        for resource in self._registry:
            if (resource.group, resource.plural) == kind and "list" in resource.verbs:
                return resource.stored_as or resource
        return None

    def _present(self, namespace: str, kind: Kind) -> Iterator[Object]:
        resource = self.resource_of(kind)
        if resource is None or not resource.namespaced:
            return
        reserved = self._reserved.get((namespace, kind)) or {}
        for obj in self._objects.cached_list(resource, namespace):
            reservation = reserved.get(uid_of(obj))
            if reservation is None:
                yield obj
            elif obj["metadata"].get("resourceVersion") == reservation.instead_of:
                yield reservation.obj
            else:
                del reserved[uid_of(obj)]
                yield obj
        now_s = self._clock.monotonic()
        for uid, reservation in list(reserved.items()):
            if reservation.until_s < now_s:
                del reserved[uid]
            elif not reservation.instead_of:
                yield reservation.obj
        if not reserved:
            self._reserved.pop((namespace, kind), None)


class ResourceQuota(Plugin):
    """Runs last, so that nothing is reserved for what another plugin refuses."""

    def __init__(self, objects: Objects, ledger: QuotaLedger) -> None:
        self._objects = objects
        self._ledger = ledger

    async def validate(self, request: AdmissionRequest) -> None:
        if request.operation not in (Operation.CREATE, Operation.UPDATE) or not request.resource.namespaced:
            return
        kind = kind_of(request)
        if kind in _UNCOUNTED or request.subresource not in ("", "resize"):
            return
        quotas = list(self._objects.cached_list(core.RESOURCE_QUOTA, request.namespace))
        if quotas:
            self._charge(request, kind, quotas)

    def _charge(self, request: AdmissionRequest, kind: Kind, quotas: list[Object]) -> None:
        obj, old = subject(request), request.old
        if old is not None and kind == PODS and request.subresource != "resize":
            return
        usage = usage_of(kind, obj)
        reserve = False
        for quota in sorted(quotas, key=lambda q: str(q["metadata"]["name"])):
            names = [name for name in quota["spec"].get("hard") or {} if kind_counted(name) == kind]
            if not names or not falls_under(quota, kind, obj):
                continue
            charged = usage
            if old is not None and falls_under(quota, kind, old):
                charged = _growth(usage, usage_of(kind, old))
                if not charged:
                    continue
            name = quota["metadata"]["name"]
            if kind == PODS and (missing := unspecified(names, obj)):
                raise refusal(request, f"failed quota: {name}: must specify {missing}")
            wanted = {n: charged[n] for n in names if n in charged}
            if why := exceeded(quota, wanted, self._ledger.used(quota)):
                raise refusal(request, why)
            reserve = True
        if reserve and not request.dry_run:
            self._ledger.reserve(
                request.namespace, kind, obj, old["metadata"].get("resourceVersion", "") if old is not None else ""
            )


def _growth(new: Usage, old: Usage) -> Usage:
    """What an update takes beyond what it had."""
    more = {name: amount.minus(old[name]) if name in old else amount for name, amount in new.items()}
    return {name: amount for name, amount in more.items() if amount.nanos > 0}
