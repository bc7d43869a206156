"""Deleting pods from nodes whose NoExecute taints they do not tolerate, at once or when their patience ends."""

from collections.abc import Iterable, Sequence

from kajitori.api.core import NODE, POD
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, name_of
from kajitori.api.node_fit import taints_of, tolerates
from kajitori.api.pods import is_terminal, node_name
from kajitori.api.times import parse_timestamp, timestamp
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped
from kajitori.controllers.nodes.lifecycle import BY_NODE, pod_node


def evict_at_s(pod: Object, taints: Sequence[Object], now_s: float, seen_s: float) -> float | None:
    """When the pod must go (epoch seconds, not after `now_s` for at once); None for never.

    Patience counts from a taint's `timeAdded`, which kubectl does not set: then from `seen_s`, when pod and taints
    were first seen together.
    """
    due: list[float] = []
    for taint in taints:
        fitting = [t for t in pod["spec"].get("tolerations") or () if tolerates((t,), taint)]
        if not fitting:
            return now_s
        patience = [t["tolerationSeconds"] for t in fitting if t.get("tolerationSeconds") is not None]
        if patience:
            since = parse_timestamp(taint["timeAdded"]) if taint.get("timeAdded") else seen_s
            due.append(since + max(0, min(patience)))
    return min(due, default=None)


def disruption(reason: str, message: str, now_s: float) -> Object:
    """The condition that tells a Job why its pod went (KEP-3329)."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": timestamp(now_s),
    }


def with_condition(status: Object, condition: Object) -> Object:
    others = [c for c in status.get("conditions") or () if c["type"] != condition["type"]]
    return {**status, "conditions": [*others, condition]}


class TaintEvictionController(Controller):
    name = "taint-eviction-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informer(NODE)
        self.pods = context.informer(POD)
        self.pods.add_index(BY_NODE, pod_node)
        self.events = context.recorder(self.name)
        self._scheduled: dict[ObjectKey, float] = {}
        """Pods that will have to go, and since when that is known (epoch seconds)."""

    def sources(self) -> Iterable[Source]:
        return (
            mapped(
                POD,
                self._tainted,
                changed=lambda new, old: (
                    node_name(new) != node_name(old) or new["spec"].get("tolerations") != old["spec"].get("tolerations")
                ),
            ),
            mapped(NODE, self._on_node, changed=lambda new, old: no_execute(new) != no_execute(old)),
        )

    def _tainted(self, pod: Object) -> list[ObjectKey]:
        node = self.nodes.get(ObjectKey("", node_name(pod)))
        return [key_of(pod)] if node is not None and no_execute(node) else []

    def _on_node(self, node: Object) -> list[ObjectKey]:
        return [key_of(pod) for pod in self.pods.by_index(BY_NODE, name_of(node))]

    async def reconcile(self, key: ObjectKey) -> float | None:
        pod = self.pods.get(key)
        node = self.nodes.get(ObjectKey("", node_name(pod))) if pod is not None else None
        if pod is None or node is None or is_deleting(pod) or is_terminal(pod):
            self._scheduled.pop(key, None)
            return None
        taints, now_s = no_execute(node), self.clock.now()
        seen_s = self._scheduled.get(key, now_s)
        due_s = evict_at_s(pod, taints, now_s, seen_s)
        if due_s is None:
            if self._scheduled.pop(key, None) is not None:
                self.events.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {key}")
            return None
        if due_s > now_s:
            self._scheduled[key] = seen_s
            return due_s - now_s
        self._scheduled.pop(key, None)
        await self._evict(pod)
        return None

    async def _evict(self, pod: Object) -> None:
        self.events.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key_of(pod)}")
        condition = disruption(
            "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", self.clock.now()
        )
        await self.writes.update_status(POD, pod, with_condition(pod.get("status") or {}, condition))
        await self.writes.delete(POD, pod)


def no_execute(node: Object) -> list[Object]:
    return [t for t in taints_of(node) if t["effect"] == "NoExecute"]
