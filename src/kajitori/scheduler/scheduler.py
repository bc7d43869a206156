"""The shell around the decision: watches fill the table and the queue, bindings are written, refusals become events."""

import asyncio
import logging
import random
from collections.abc import Iterator, Mapping
from typing import Any

from kajitori.api import core, storage
from kajitori.api.errors import Conflict, NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, condition_of, is_deleting, labels_of, name_of, uid_of
from kajitori.api.pods import is_terminal, node_name
from kajitori.api.times import timestamp
from kajitori.client.cache import Cache
from kajitori.client.events import EventRecorder
from kajitori.client.informer import Informer
from kajitori.client.interface import Client, Disconnected, PatchType, WatchEventType
from kajitori.kit.clock import Clock, within
from kajitori.scheduler.decide import Decision, Profile
from kajitori.scheduler.framework import Cluster
from kajitori.scheduler.match_counts import MatchCounts
from kajitori.scheduler.node_table import NodeTable
from kajitori.scheduler.plugins.volumes import SELECTED_NODE, claims_to_place
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.queue import SchedulingQueue

NAME = "default-scheduler"
BINDINGS_AT_ONCE = 64
VOLUMES_LIMIT_S = 600.0
"""How long a pod holds its place while its volumes are being made."""

logger = logging.getLogger("kajitori.scheduler")


class _Cached(Mapping[ObjectKey, Object]):
    """An informer as a mapping that is read only when asked."""

    def __init__(self, informer: Informer) -> None:
        self._informer = informer

    def __getitem__(self, key: ObjectKey) -> Object:
        found = self._informer.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[ObjectKey]:
        return (ObjectKey(o["metadata"].get("namespace") or "", name_of(o)) for o in self._informer.list())

    def __len__(self) -> int:
        return len(self._informer.list())


class Scheduler:
    """Gives nodes to pods whose `schedulerName` is `name`. One instance runs at a time (leader election is outside)."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        clock: Clock,
        recorder: EventRecorder,
        *,
        name: str = NAME,
        profile: Profile | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._name = name
        self._profile = profile or Profile()
        self._queue = SchedulingQueue(clock)
        self._bindings = asyncio.Semaphore(BINDINGS_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._assumed: dict[str, str] = {}
        nodes, namespaces = NodeTable(), dict[str, Mapping[str, str]]()
        self._namespaces = namespaces
        self._pods = cache.informer(core.POD)
        self._claims = cache.informer(core.PERSISTENT_VOLUME_CLAIM)
        volumes = cache.informer(core.PERSISTENT_VOLUME)
        classes = cache.informer(storage.STORAGE_CLASS)
        self._cluster = Cluster(
            nodes,
            MatchCounts(nodes, namespaces),
            namespaces,
            _Cached(self._claims),
            _Cached(volumes),
            _Cached(classes),
        )
        self._informers = [self._pods, self._claims, volumes, classes]
        for resource, handler in ((core.NODE, self._on_node), (core.NAMESPACE, self._on_namespace)):
            informer = cache.informer(resource)
            informer.subscribe(handler)
            self._informers.append(informer)
        self._pods.subscribe(self._on_pod)
        for informer in (self._claims, volumes, classes):
            informer.subscribe(self._on_storage)

    async def run(self) -> None:
        """Until cancelled."""
        for informer in self._informers:
            await informer.synced()
        try:
            while True:
                pod = await self._queue.get()
                self._schedule(pod)
                if len(self._tasks) >= BINDINGS_AT_ONCE:
                    await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()

    def _schedule(self, pod: PodView) -> None:
        changes = self._queue.changes
        decision = self._profile.decide(pod, self._cluster, random.Random(pod.uid))
        if decision.node:
            self._cluster.nodes.put_pod(pod, decision.node)
            self._assumed[pod.uid] = decision.node
            self._start(self._bind(pod, decision.node))
        else:
            self._queue.failed(pod, changes)
            self._start(self._refuse(pod, decision))

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bind(self, pod: PodView, node: str) -> None:
        try:
            await self._place_volumes(pod, node)
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
                "target": {"apiVersion": "v1", "kind": "Node", "name": node},
            }
            async with self._bindings:
                await self._client.create(core.POD, binding, pod.namespace, name=pod.name, subresource="binding")
        except (NotFound, Conflict) as error:
            # Gone, or bound by another: the watch brings what is true.
            logger.info("pod %s/%s was not bound to %s: %s", pod.namespace, pod.name, node, error)
            self._forget(pod)
        except (StatusError, Disconnected, TimeoutError) as error:
            logger.warning("pod %s/%s could not be bound to %s: %s", pod.namespace, pod.name, node, error)
            self._recorder.event(pod.document, "Warning", "FailedScheduling", f"binding to {node} failed: {error}")
            self._forget(pod)
        else:
            message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
            self._recorder.event(pod.document, "Normal", "Scheduled", message)

    def _forget(self, pod: PodView) -> None:
        """Take back what was assumed."""
        if self._assumed.pop(pod.uid, None):
            self._cluster.nodes.remove_pod(pod.uid)
            self._queue.failed_for_now(pod)

    async def _place_volumes(self, pod: PodView, node: str) -> None:
        """Tell waiting claims the node and wait until they are bound."""
        claims = claims_to_place(pod, self._cluster)
        for claim in claims:
            patch = {"metadata": {"annotations": {SELECTED_NODE: node}}}
            await self._client.patch(core.PERSISTENT_VOLUME_CLAIM, name_of(claim), patch, pod.namespace)
        if claims:
            bound = asyncio.Event()

            def look(*_: object) -> None:
                if not claims_to_place(pod, self._cluster):
                    bound.set()

            unsubscribe = self._claims.subscribe(look)
            try:
                await within(self._clock, VOLUMES_LIMIT_S, bound.wait())
            finally:
                unsubscribe()

    async def _refuse(self, pod: PodView, decision: Decision) -> None:
        self._recorder.event(pod.document, "Warning", "FailedScheduling", decision.message)
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": decision.message,
            "lastProbeTime": None,
            "lastTransitionTime": timestamp(self._clock.now()),
        }
        before = condition_of(pod.document, "PodScheduled")
        if before and (before.get("reason"), before.get("message")) == ("Unschedulable", decision.message):
            return
        patch = {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}
        try:
            await self._client.patch(
                core.POD, pod.name, patch, pod.namespace, patch_type=PatchType.STRATEGIC, subresource="status"
            )
        except (StatusError, Disconnected) as error:
            logger.info("status of pod %s/%s was not written: %s", pod.namespace, pod.name, error)

    def _on_pod(self, kind: WatchEventType, pod: Object, old: Object | None) -> None:
        uid = uid_of(pod)
        if kind is WatchEventType.DELETED or is_terminal(pod):
            self._leave(uid)
        elif node := node_name(pod):
            self._queue.remove(uid)
            self._assumed.pop(uid, None)
            if old is None or not node_name(old) or _counts_differently(pod, old):
                self._cluster.nodes.put_pod(PodView(pod), node)
                self._queue.something_changed()
        elif pod["spec"].get("schedulerName", NAME) == self._name and uid not in self._assumed:
            if is_deleting(pod) or pod["spec"].get("schedulingGates"):
                self._queue.remove(uid)
            else:
                self._queue.put(PodView(pod))

    def _leave(self, uid: str) -> None:
        self._queue.remove(uid)
        self._assumed.pop(uid, None)
        self._cluster.nodes.remove_pod(uid)
        self._queue.something_changed()

    def _on_node(self, kind: WatchEventType, node: Object, old: Object | None) -> None:
        if kind is WatchEventType.DELETED:
            self._cluster.nodes.remove_node(name_of(node))
        elif old is None or _differs_for_pods(node, old):
            self._cluster.nodes.put_node(node)
            self._queue.something_changed()

    def _on_namespace(self, kind: WatchEventType, namespace: Object, old: Object | None) -> None:
        if kind is WatchEventType.DELETED:
            self._namespaces.pop(name_of(namespace), None)
        else:
            self._namespaces[name_of(namespace)] = dict(labels_of(namespace))
        if old is None or labels_of(old) != labels_of(namespace):
            self._cluster.counts.forget_namespaces()

    def _on_storage(self, *_: object) -> None:
        self._queue.something_changed()


def _counts_differently(pod: Object, old: Object) -> bool:
    return labels_of(pod) != labels_of(old) or pod["spec"] != old["spec"]


def _differs_for_pods(node: Object, old: Object) -> bool:
    """Whether anything changed that decides about pods: most updates of a node are heartbeats."""
    status, before = node.get("status") or {}, old.get("status") or {}
    return (
        node.get("spec") != old.get("spec")
        or labels_of(node) != labels_of(old)
        or status.get("allocatable") != before.get("allocatable")
        or status.get("images") != before.get("images")
    )
