"""ReplicaSet and ReplicationController: as many pods as asked for, neither more nor fewer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from kajitori.api.apps import REPLICA_SET
from kajitori.api.core import POD, REPLICATION_CONTROLLER
from kajitori.api.meta import Object, ObjectKey, controller_of, is_deleting, labels_of, name_of, uid_of
from kajitori.api.pods import is_active, is_ready, is_terminal
from kajitori.api.resource import Resource
from kajitori.api.selectors import LabelSelector, from_label_selector, from_label_set
from kajitori.api.times import timestamp
from kajitori.controllers.batches import all_at_once, in_growing_batches
from kajitori.controllers.context import BY_CONTROLLER, Context
from kajitori.controllers.controller import Controller, Source, is_namespace_terminating, mapped, own, owned
from kajitori.controllers.ownership import adopters, claim
from kajitori.controllers.pods import deletion_order, is_available, next_available_s, pod_from_template
from kajitori.controllers.replicas import replicas_of

# Upstream's burst: a huge scale-up is spread over several rounds.
WRITES_PER_ROUND_MAX = 500


@dataclass(frozen=True, slots=True)
class Plan:
    create: int
    delete: list[Object]


def plan(owner: Object, pods: list[Object], neighbours: Iterable[Object], now_s: float) -> Plan:
    """`pods` are the active ones it controls; `neighbours` those of the same application, for ranking deletions."""
    surplus = len(pods) - replicas_of(owner)
    if surplus <= 0:
        return Plan(min(-surplus, WRITES_PER_ROUND_MAX), [])
    return Plan(0, deletion_order(pods, neighbours, now_s)[: min(surplus, WRITES_PER_ROUND_MAX)])


def status_of(
    owner: Object, pods: list[Object], failure: Object | None, now_s: float, *, terminating: int | None
) -> Object:
    """The status that active `pods` amount to; `failure` is the reason and message of writes that were refused."""
    template_labels = from_label_set((owner["spec"]["template"].get("metadata") or {}).get("labels"))
    min_ready_s = owner["spec"].get("minReadySeconds") or 0
    old = owner.get("status") or {}
    status: Object = {
        "replicas": len(pods),
        "fullyLabeledReplicas": sum(template_labels.matches(labels_of(pod)) for pod in pods),
        "readyReplicas": sum(is_ready(pod) for pod in pods),
        "availableReplicas": sum(is_available(pod, min_ready_s, now_s) for pod in pods),
    }
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    status = {key: count for key, count in status.items() if count or key in ("replicas", "terminatingReplicas")}
    status["observedGeneration"] = owner["metadata"].get("generation", 0)
    conditions = [c for c in old.get("conditions") or () if c["type"] != "ReplicaFailure"]
    if failure is not None:
        present = next((c for c in old.get("conditions") or () if c["type"] == "ReplicaFailure"), None)
        same = present is not None and present.get("reason") == failure["reason"]
        conditions.append(
            present
            if same and present is not None
            else {"type": "ReplicaFailure", "status": "True", "lastTransitionTime": timestamp(now_s), **failure}
        )
    if conditions:
        status["conditions"] = conditions
    return status


class ReplicaSetController(Controller):
    name = "replicaset-controller"
    resource: ClassVar[Resource] = REPLICA_SET
    counts_terminating: ClassVar[bool] = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.owners = context.index_by_controller(self.resource)
        self.pods = context.index_by_controller(POD)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (
            own(self.resource),
            owned(POD, self.resource.kind),
            mapped(POD, lambda pod: adopters(self.owners, pod, self.selector_of)),
        )

    @staticmethod
    def selector_of(owner: Object) -> LabelSelector:
        return from_label_selector(owner["spec"].get("selector"))

    async def reconcile(self, key: ObjectKey) -> float | None:
        owner = self.owners.get(key)
        if owner is None:
            return None
        claimed = await claim(self.context, self.resource, owner, self.selector_of(owner), POD)
        failure, error = None, None
        if not is_deleting(owner):
            active = [pod for pod in claimed if is_active(pod)]
            neighbours = self._neighbours(owner, active)
            failure, error = await self._carry_out(owner, plan(owner, active, neighbours, self.clock.now()))
        # Writes wait for the cache, so what it holds now is what the round led to.
        pods = self.pods.by_index(BY_CONTROLLER, uid_of(owner))
        active = [pod for pod in pods if is_active(pod)]
        now_s = self.clock.now()
        terminating = (
            sum(is_deleting(pod) and not is_terminal(pod) for pod in pods) if self.counts_terminating else None
        )
        await self.writes.update_status(
            self.resource, owner, status_of(owner, active, failure, now_s, terminating=terminating)
        )
        if error is not None:
            raise error
        return next_available_s(active, owner["spec"].get("minReadySeconds") or 0, now_s)

    def _neighbours(self, owner: Object, active: list[Object]) -> list[Object]:
        """The pods of every set with the same controller: what a Deployment's other revisions run."""
        deployment = controller_of(owner)
        if deployment is None:
            return active
        return [
            pod
            for sibling in self.owners.by_index(BY_CONTROLLER, deployment["uid"])
            for pod in self.pods.by_index(BY_CONTROLLER, uid_of(sibling))
        ]

    async def _carry_out(self, owner: Object, todo: Plan) -> tuple[Object | None, Exception | None]:
        if todo.create:
            _, error = await in_growing_batches(todo.create, lambda _: self._create(owner))
            reason = "FailedCreate"
        else:
            error = await all_at_once([self._delete(owner, pod) for pod in todo.delete])
            reason = "FailedDelete"
        return (None if error is None else {"reason": reason, "message": str(error)}), error

    async def _create(self, owner: Object) -> None:
        try:
            pod = await self.writes.create(POD, pod_from_template(owner["spec"]["template"], owner))
        except Exception as error:
            if not is_namespace_terminating(error):
                self.events.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self.events.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}")

    async def _delete(self, owner: Object, pod: Object) -> None:
        try:
            await self.writes.delete(POD, pod)
        except Exception as error:
            self.events.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self.events.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")


class ReplicationControllerController(ReplicaSetController):
    """The same loop; its selector is a plain map."""

    name = "replication-controller"
    resource = REPLICATION_CONTROLLER
    counts_terminating = False

    @staticmethod
    def selector_of(owner: Object) -> LabelSelector:
        selector = owner["spec"].get("selector")
        return from_label_set(selector) if selector else from_label_selector(None)
