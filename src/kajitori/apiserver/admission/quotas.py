"""ResourceQuota: nothing is created beyond what its namespace may use.

Usage is summed from what is stored, plus what has just been let through and is not seen stored yet; a decision and its
reservation happen without a pause, so that two requests cannot take the same last place. Where other servers share the
store, the reservations stand in it (`quota_sharing`).
"""

from collections.abc import Collection, Iterator, Mapping

from kajitori.api import core
from kajitori.api.errors import Forbidden
from kajitori.api.meta import Object, name_of, uid_of
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.admission.quota_reservations import Reservation, Reservations
from kajitori.apiserver.admission.quota_sharing import QUOTA_RESERVATIONS, Decide, SharedReservations
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


class QuotaLedger:
    """What is used, by namespace and kind."""

    def __init__(self, objects: Objects, registry: Registry, clock: Clock) -> None:
        self._objects = objects
        self._registry = registry
        self._reservations = Reservations(objects, clock, self.resource_of)
        self._shared = SharedReservations(objects, self._reservations)

    async def reserve(self, namespace: str, uid: str, decide: Decide) -> None:
        """Let through what `decide` finds room for. Raises Forbidden."""
        if self._objects.shared:
            await self._shared.reserve(namespace, uid, decide)
            return
        try:
            found = decide()
        except Forbidden:
            await self._objects.caught_up()  # a place may have become free
            found = decide()
        if found is not None:
            self._reservations.drop_settled(namespace)
            self._reservations.add(namespace, uid, found, _RESERVED_S)

    async def forget(self, namespaces: Collection[str]) -> None:
        """Namespaces that have no quota any more."""
        if self._objects.shared:
            for namespace in namespaces:
                await self._shared.forget(namespace)

    def namespaces(self) -> list[str]:
        """Those of which the store has reservations."""
        return [name_of(obj) for obj in self._objects.cached_list(QUOTA_RESERVATIONS)]

    def stop(self) -> None:
        self._shared.stop()
        self._reservations.stop()

    def used(self, quota: Object, *, reserved: bool = True) -> Usage:
        """What counts against a quota, by the names of its `hard`; what is stored of it, without what is reserved."""
        namespace, names = quota["metadata"]["namespace"], list(quota["spec"].get("hard") or {})
        kinds = {kind for name in names if (kind := kind_counted(name)) is not None}
        awaited = self._reservations.active(namespace) if reserved else {}
        usages = [
            usage_of(kind, obj)
            for kind in kinds
            for obj in self._stored(namespace, kind, awaited)
            if falls_under(quota, kind, obj)
        ]
        usages += [dict(one.usage.get(quota["metadata"]["name"], {})) for one in awaited.values()]
        return total(usages, names)

    def resource_of(self, kind: Kind) -> Resource | None:
        """The kind in the version that is stored; None when it is not served."""
        for resource in self._registry:
            if (resource.group, resource.plural) == kind and "list" in resource.verbs:
                return resource.stored_as or resource
        return None

    def _stored(self, namespace: str, kind: Kind, reserved: Mapping[str, Reservation]) -> Iterator[Object]:
        """Without those that a reservation is about to replace."""
        resource = self.resource_of(kind)
        if resource is None or not resource.namespaced:
            return
        for obj in self._objects.cached_list(resource, namespace):
            one = reserved.get(uid_of(obj))
            if one is None or one.instead_of != obj["metadata"].get("resourceVersion"):
                yield obj


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
        old = request.old
        if old is not None and kind == PODS and request.subresource != "resize":
            return
        quotas = list(self._objects.cached_list(core.RESOURCE_QUOTA, request.namespace))
        if quotas and (old is None or _takes_more(quotas, kind, subject(request), old)):
            uid = uid_of(subject(request))
            await self._ledger.reserve(request.namespace, uid, lambda: self._decide(request, kind))

    def _decide(self, request: AdmissionRequest, kind: Kind) -> Reservation | None:
        """What to reserve, None for nothing. Raises Forbidden."""
        obj, old = subject(request), request.old
        usage = usage_of(kind, obj)
        reserved: dict[str, Usage] = {}
        quotas = self._objects.cached_list(core.RESOURCE_QUOTA, request.namespace)
        for quota in sorted(quotas, key=lambda q: str(q["metadata"]["name"])):
            names = [name for name in quota["spec"].get("hard") or {} if kind_counted(name) == kind]
            if not names or not falls_under(quota, kind, obj):
                continue
            name = quota["metadata"]["name"]
            charged = usage
            if old is not None and falls_under(quota, kind, old):
                charged = _growth(usage, usage_of(kind, old))
            if charged:
                if kind == PODS and (missing := unspecified(names, obj)):
                    raise refusal(request, f"failed quota: {name}: must specify {missing}")
                wanted = {n: charged[n] for n in names if n in charged}
                if why := exceeded(quota, wanted, self._ledger.used(quota)):
                    raise refusal(request, why)
            reserved[name] = {n: usage[n] for n in names if n in usage}
        if not reserved or request.dry_run:
            return None
        return Reservation(kind, old["metadata"].get("resourceVersion", "") if old is not None else "", reserved)


def _takes_more(quotas: list[Object], kind: Kind, obj: Object, old: Object) -> bool:
    """Whether an update may be charged at all; most are not."""
    if _growth(usage_of(kind, obj), usage_of(kind, old)):
        return True
    return any(falls_under(quota, kind, obj) and not falls_under(quota, kind, old) for quota in quotas)


def _growth(new: Usage, old: Usage) -> Usage:
    """What an update takes beyond what it had."""
    more = {name: amount.minus(old[name]) if name in old else amount for name, amount in new.items()}
    return {name: amount for name, amount in more.items() if amount.nanos > 0}
