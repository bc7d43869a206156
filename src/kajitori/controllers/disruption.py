"""PodDisruptionBudget status: how many pods may be evicted now. The eviction endpoint reads and counts it down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kajitori.api.apps import DEPLOYMENT, REPLICA_SET, STATEFUL_SET
from kajitori.api.core import POD, REPLICATION_CONTROLLER
from kajitori.api.errors import NotFound
from kajitori.api.meta import (
    Object,
    ObjectKey,
    controller_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    set_condition,
    uid_of,
)
from kajitori.api.pods import is_ready, is_terminal
from kajitori.api.policy import POD_DISRUPTION_BUDGET
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.api.times import parse_timestamp, timestamp
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.replicas import replicas_of, resolve

# An eviction that was granted but did not lead to a deletion within this time counts no longer.
EVICTION_PENDING_MAX_S = 120.0


class UnknownScale(Exception):
    """How many pods a controller wants cannot be found out; the message is for the condition and the event."""


@dataclass(frozen=True, slots=True)
class Budget:
    expected: int
    desired_healthy: int


def needs_scale(budget: Object) -> bool:
    """A whole number of pods that must stay can be judged without asking how many there should be."""
    least = budget["spec"].get("minAvailable")
    return budget["spec"].get("maxUnavailable") is not None or isinstance(least, str)


def judge(budget: Object, pods: Sequence[Object], scale: int) -> Budget:
    """`scale` is how many pods their controllers want."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        return Budget(scale, max(0, scale - resolve(spec["maxUnavailable"], scale, up=True)))
    least = spec.get("minAvailable", 1)
    if isinstance(least, str):
        return Budget(scale, resolve(least, scale, up=True))
    return Budget(len(pods), int(least))


def status_of(budget: Object, pods: Sequence[Object], verdict: Budget, now_s: float) -> tuple[Object, float | None]:
    """The status, and after how many seconds a pending eviction lapses."""
    old = budget.get("status") or {}
    pending, again_s = _pending(old.get("disruptedPods") or {}, pods, now_s)
    healthy = sum(is_ready(p) and not is_deleting(p) and name_of(p) not in pending for p in pods)
    allowed = max(0, healthy - verdict.desired_healthy) if verdict.expected > 0 else 0
    status: Object = {
        "currentHealthy": healthy,
        "desiredHealthy": verdict.desired_healthy,
        "expectedPods": verdict.expected,
        "disruptionsAllowed": allowed,
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    if pending:
        status["disruptedPods"] = pending
    ok = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    status["conditions"] = _conditions(budget, *ok, "", now_s)
    return status, again_s


def failed_status(budget: Object, message: str, now_s: float) -> Object:
    """While nothing is known, nothing may be evicted."""
    status = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    status["observedGeneration"] = budget["metadata"].get("generation", 0)
    for count in ("currentHealthy", "desiredHealthy", "expectedPods"):
        status.setdefault(count, 0)
    status["conditions"] = _conditions(budget, "False", "SyncFailed", message, now_s)
    return status


def _conditions(budget: Object, value: str, reason: str, message: str, now_s: float) -> list[Object]:
    conditions = [dict(c) for c in (budget.get("status") or {}).get("conditions") or ()]
    condition = {
        "type": "DisruptionAllowed",
        "status": value,
        "reason": reason,
        "message": message,
        "observedGeneration": budget["metadata"].get("generation", 0),
    }
    set_condition(conditions, condition, timestamp(now_s))
    return conditions


def _pending(disrupted: Object, pods: Sequence[Object], now_s: float) -> tuple[Object, float | None]:
    present = {name_of(pod) for pod in pods if not is_deleting(pod)}
    left = {
        name: since
        for name, since in disrupted.items()
        if name in present and parse_timestamp(since) + EVICTION_PENDING_MAX_S > now_s
    }
    waits = [parse_timestamp(since) + EVICTION_PENDING_MAX_S - now_s for since in left.values()]
    return left, min(waits, default=None)


class DisruptionController(Controller):
    name = "disruption-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.budgets = context.informer(POD_DISRUPTION_BUDGET)
        self.pods = context.informer(POD)
        self.events = context.recorder("controllermanager")
        for resource in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, REPLICATION_CONTROLLER):
            context.informer(resource)

    def sources(self) -> Iterable[Source]:
        return (
            own(POD_DISRUPTION_BUDGET),
            mapped(POD, self._covering, changed=_matters),
            *(
                mapped(resource, self._in_namespace, changed=_resized)
                for resource in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, REPLICATION_CONTROLLER)
            ),
        )

    def _covering(self, pod: Object) -> list[ObjectKey]:
        labels = labels_of(pod)
        return [key_of(b) for b in self.budgets.list(namespace_of(pod)) if _selector_of(b).matches(labels)]

    def _in_namespace(self, owner: Object) -> list[ObjectKey]:
        return [key_of(b) for b in self.budgets.list(namespace_of(owner)) if needs_scale(b)]

    async def reconcile(self, key: ObjectKey) -> float | None:
        budget = self.budgets.get(key)
        if budget is None:
            return None
        selector = _selector_of(budget)
        pods = [p for p in self.pods.list(key.namespace) if not is_terminal(p) and selector.matches(labels_of(p))]
        now_s = self.clock.now()
        if not pods:
            self.events.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            scale = await self._scale(pods) if needs_scale(budget) else 0
        except UnknownScale as error:
            self.events.event(budget, "Warning", "CalculateExpectedPodCountFailed", str(error))
            await self.writes.update_status(POD_DISRUPTION_BUDGET, budget, failed_status(budget, str(error), now_s))
            return None
        status, again_s = status_of(budget, pods, judge(budget, pods, scale), now_s)
        await self.writes.update_status(POD_DISRUPTION_BUDGET, budget, status)
        return again_s

    async def _scale(self, pods: Sequence[Object]) -> int:
        """The sum of what the pods' controllers want, each counted once."""
        seen: set[str] = set()
        wanted: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                raise UnknownScale(f'found no controllers for pod "{name_of(pod)}"')
            if owner["uid"] not in seen:
                seen.add(owner["uid"])
                uid, replicas = await self._replicas(namespace_of(pod), owner)
                wanted[uid] = replicas
        return sum(wanted.values())

    async def _replicas(self, namespace: str, owner: Object) -> tuple[str, int]:
        """Uid and size of what scales the pods: a ReplicaSet's Deployment counts in its stead."""
        key = ObjectKey(namespace, owner["name"])
        if owner["kind"] == "ReplicaSet":
            replica_set = self.context.get(REPLICA_SET, key)
            above = controller_of(replica_set) if replica_set is not None else None
            if above is not None and above["kind"] == "Deployment":
                deployment = self.context.get(DEPLOYMENT, ObjectKey(namespace, above["name"]))
                if deployment is not None:
                    return uid_of(deployment), replicas_of(deployment)
        builtin = {
            "ReplicaSet": REPLICA_SET,
            "StatefulSet": STATEFUL_SET,
            "ReplicationController": REPLICATION_CONTROLLER,
        }
        resource = builtin.get(owner["kind"])
        if resource is not None:
            found = self.context.get(resource, key)
            return owner["uid"], replicas_of(found) if found is not None else 0
        resource = self.context.kinds.by_kind(owner["apiVersion"], owner["kind"])
        if resource is None:
            raise UnknownScale(f"no kind {owner['kind']} in {owner['apiVersion']} is served")
        try:
            scale = await self.client.get(resource, owner["name"], namespace, subresource="scale")
        except NotFound as error:
            raise UnknownScale(f"{resource.qualified_name} does not implement the scale subresource") from error
        return owner["uid"], int(scale["spec"].get("replicas") or 0)


def _selector_of(budget: Object) -> LabelSelector:
    return from_label_selector(budget["spec"].get("selector"))


def _matters(new: Object, old: Object) -> bool:
    def facts(pod: Object) -> tuple[object, ...]:
        return labels_of(pod), is_ready(pod), is_deleting(pod), is_terminal(pod)

    return facts(new) != facts(old)


def _resized(new: Object, old: Object) -> bool:
    return replicas_of(new) != replicas_of(old)
