"""Pods that no kubelet will ever finish: of nodes that are gone, never scheduled but deleted, ended and too many."""

from collections.abc import Iterable

from kajitori.api.core import NODE, POD
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, ObjectKey, condition_is, is_deleting, key_of, name_of
from kajitori.api.node_fit import taints_of
from kajitori.api.pods import is_terminal, node_name
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped
from kajitori.controllers.nodes.eviction import disruption, with_condition
from kajitori.controllers.nodes.health import OUT_OF_SERVICE
from kajitori.controllers.nodes.lifecycle import BY_NODE, pod_node

# A node that is deleted by mistake registers again within this time.
QUARANTINE_S = 40.0
ENDED = ObjectKey("", "ended pods")


class PodGarbageCollector(Controller):
    name = "pod-garbage-collector-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informer(NODE)
        self.pods = context.informer(POD)
        self.pods.add_index(BY_NODE, pod_node)
        self._missing_since_s: dict[str, float] = {}

    def sources(self) -> Iterable[Source]:
        return (
            mapped(POD, self._suspicious),
            mapped(
                NODE,
                lambda node: [key_of(p) for p in self.pods.by_index(BY_NODE, name_of(node))],
                changed=_service_changed,
            ),
        )

    def _suspicious(self, pod: Object) -> list[ObjectKey]:
        node = node_name(pod)
        keys = [key_of(pod)] if (is_deleting(pod) if not node else self._node(node) is None) else []
        if node and is_deleting(pod) and self._is_out_of_service(node):
            keys.append(key_of(pod))
        return [*keys, ENDED] if is_terminal(pod) else keys

    def _node(self, name: str) -> Object | None:
        return self.nodes.get(ObjectKey("", name))

    def _is_out_of_service(self, name: str) -> bool:
        node = self._node(name)
        return (
            node is not None
            and not condition_is(node, "Ready")
            and any(taint["key"] == OUT_OF_SERVICE for taint in taints_of(node))
        )

    async def reconcile(self, key: ObjectKey) -> float | None:
        if key == ENDED:
            await self._thin_out()
            return None
        pod = self.pods.get(key)
        if pod is None:
            return None
        node = node_name(pod)
        if not node:
            if is_deleting(pod):
                await self._remove(pod)
        elif self._node(node) is None:
            return await self._remove_orphan(pod, node)
        else:
            self._missing_since_s.pop(node, None)
            if is_deleting(pod) and self._is_out_of_service(node):
                await self._remove(pod, "DeletionByPodGC", "PodGC: node is out of service")
        return None

    async def _remove_orphan(self, pod: Object, node: str) -> float | None:
        now_s = self.clock.monotonic()
        left_s = self._missing_since_s.setdefault(node, now_s) + QUARANTINE_S - now_s
        if left_s > 0:
            return left_s
        try:
            await self.client.get(NODE, node)
        except NotFound:
            await self._remove(pod, "DeletionByPodGC", "PodGC: node no longer exists")
        return None

    async def _thin_out(self) -> None:
        """Beyond the limit the oldest ended pods go."""
        ended = [p for p in self.pods.list() if is_terminal(p) and not is_deleting(p)]
        surplus = len(ended) - self.context.settings.terminated_pods_max
        if surplus > 0:
            ended.sort(key=lambda p: (p["metadata"].get("creationTimestamp") or "", name_of(p)))
            for pod in ended[:surplus]:
                await self._remove(pod)

    async def _remove(self, pod: Object, reason: str = "", message: str = "") -> None:
        """A pod that has not ended is marked as failed first, so that its owner does not wait for it."""
        if not is_terminal(pod) and reason:
            status = {**(pod.get("status") or {}), "phase": "Failed"}
            status = with_condition(status, disruption(reason, message, self.clock.now()))
            pod = await self.writes.update_status(POD, pod, status)
        await self.writes.delete(POD, pod, grace_period_s=0)


def _service_changed(new: Object, old: Object) -> bool:
    return taints_of(new) != taints_of(old) or condition_is(new, "Ready") != condition_is(old, "Ready")
