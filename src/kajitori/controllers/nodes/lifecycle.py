"""Watching over nodes: silence becomes Ready=Unknown, conditions become taints, lost pods stop being ready."""

import asyncio
from collections.abc import Iterable

from kajitori.api.coordination import LEASE
from kajitori.api.core import NODE, POD
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, condition_of, name_of, namespace_of
from kajitori.api.pods import is_ready as is_pod_ready
from kajitori.api.times import timestamp
from kajitori.client.interface import Disconnected, WatchEventType
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.nodes.health import is_ready, may_evict, silent_status, taints_for

LEASE_NAMESPACE = "kube-node-lease"
# This long before a node is given up the API server is asked for it, and again then. A server that was away in between
# has been back long enough for a living node to renew its lease, which it does every 10 s.
SUSPICION_S = 12.0
BY_NODE = "node of pod"


def pod_node(pod: Object) -> list[str]:
    name = pod["spec"].get("nodeName")
    return [name] if name else []


class NodeLifecycleController(Controller):
    name = "node-lifecycle-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informer(NODE)
        self.leases = context.informer(LEASE)
        self.pods = context.informer(POD)
        self.pods.add_index(BY_NODE, pod_node)
        self.events = context.recorder("node-controller")
        self._seen_s: dict[str, float] = {}
        """When a node last gave a sign of life, on this process's own clock: the nodes' clocks need no trust."""

    def sources(self) -> Iterable[Source]:
        return (
            own(NODE, changed=_matters),
            # Whether any node is ready decides for all of them whether pods are evicted.
            mapped(NODE, self._others, changed=lambda new, old: is_ready(new) != is_ready(old)),
        )

    def attach(self) -> None:
        self.nodes.subscribe(self._node_spoke)
        self.leases.subscribe(self._lease_renewed)
        super().attach()

    def _others(self, _: Object) -> list[ObjectKey]:
        return [ObjectKey("", name_of(node)) for node in self.nodes.list()]

    def _lease_renewed(self, kind: WatchEventType, lease: Object, old: Object | None) -> None:
        if namespace_of(lease) != LEASE_NAMESPACE:
            return
        if kind is not WatchEventType.DELETED and (old is None or lease.get("spec") != old.get("spec")):
            self._sign_of_life(name_of(lease))

    def _node_spoke(self, kind: WatchEventType, node: Object, old: Object | None) -> None:
        if kind is WatchEventType.DELETED:
            self._seen_s.pop(name_of(node), None)
        elif old is None or _heartbeats(node) != _heartbeats(old):
            self._sign_of_life(name_of(node))

    def _sign_of_life(self, name: str) -> None:
        self._seen_s[name] = self.clock.monotonic()

    async def reconcile(self, key: ObjectKey) -> float | None:
        node = self.nodes.get(key)
        if node is None:
            return None
        now_s, grace_s = self.clock.monotonic(), self.context.settings.node_grace_s
        silence_s = now_s - self._seen_s.setdefault(key.name, now_s)
        suspicious_s = max(0.0, grace_s - SUSPICION_S)
        if silence_s >= suspicious_s:
            await self._make_sure(key.name)
        if silence_s >= grace_s:
            node = await self._declare_silent(node)
        taints = taints_for(node, evicting=may_evict(self.nodes.list()), now_s=self.clock.now())
        if taints != (node["spec"].get("taints") or []):
            meta = {"resourceVersion": node["metadata"]["resourceVersion"]}
            await self.writes.patch(NODE, node, {"metadata": meta, "spec": {"taints": taints or None}})
        if not is_ready(node):
            await self._unready_pods(node)
        if silence_s >= grace_s:
            # Its next word is an event.
            return None
        return (suspicious_s if silence_s < suspicious_s else grace_s) - silence_s

    async def _make_sure(self, name: str) -> None:
        """Silence may be this side's own: while the API server does not answer, every node's time starts anew."""
        try:
            await self.client.get(NODE, name)
        except NotFound:
            return
        except (StatusError, Disconnected):
            self._seen_s = dict.fromkeys(self._seen_s, self.clock.monotonic())
            raise

    async def _declare_silent(self, node: Object) -> Object:
        was_ready = is_ready(node)
        node = await self.writes.update_status(NODE, node, silent_status(node, self.clock.now()))
        if was_ready:
            message = f"Node {name_of(node)} status is now: NodeNotReady"
            self.events.event(node, "Normal", "NodeNotReady", message)
        return node

    async def _unready_pods(self, node: Object) -> None:
        """Endpoints must not point at a node that nobody hears of; its kubelet sets the condition back."""
        if (condition_of(node, "Ready") or {}).get("status") != "Unknown":
            return
        ready = [pod for pod in self.pods.by_index(BY_NODE, name_of(node)) if is_pod_ready(pod)]
        await asyncio.gather(*(self._unready_pod(pod) for pod in ready))

    async def _unready_pod(self, pod: Object) -> None:
        now = timestamp(self.clock.now())
        conditions = [
            {**c, "status": "False", "lastTransitionTime": now} if c["type"] == "Ready" else c
            for c in pod["status"]["conditions"]
        ]
        meta = {"resourceVersion": pod["metadata"]["resourceVersion"]}
        patch = {"metadata": meta, "status": {"conditions": conditions}}
        await self.writes.patch(POD, pod, patch, subresource="status")
        self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def _matters(new: Object, old: Object) -> bool:
    return new["spec"] != old["spec"] or _statuses(new) != _statuses(old)


def _statuses(node: Object) -> list[tuple[str, str]]:
    return [(c["type"], c["status"]) for c in (node.get("status") or {}).get("conditions") or ()]


def _heartbeats(node: Object) -> list[str | None]:
    return [c.get("lastHeartbeatTime") for c in (node.get("status") or {}).get("conditions") or ()]
