"""The node agent: registers the node, runs the pods that are bound to it, and serves the node's own API.

It waits for the API server's watches and containerd's events; the lease is its only timer when nothing happens.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterable
from typing import Any

from kajitori.api.core import NODE, POD, SERVICE
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object, ObjectKey, is_deleting, uid_of
from kajitori.api.pods import is_terminal
from kajitori.client.cache import Cache
from kajitori.client.events import EventRecorder
from kajitori.client.interface import Client, Disconnected, WatchEventType
from kajitori.kit.clock import Clock
from kajitori.kubelet import labels
from kajitori.kubelet.admission import AFFINITY, refusal
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd import Containerd
from kajitori.kubelet.containerd_config import read_host_traits
from kajitori.kubelet.context import NodeContext
from kajitori.kubelet.dns import parse_resolv_conf
from kajitori.kubelet.housekeeping import Housekeeping
from kajitori.kubelet.images import Images
from kajitori.kubelet.local_path_cleanup import LocalPathCleanup
from kajitori.kubelet.machine import read_machine
from kajitori.kubelet.node_object import allocatable
from kajitori.kubelet.node_registration import NodeRegistration
from kajitori.kubelet.objects import WatchedObjects
from kajitori.kubelet.pod_status import NodeAddress
from kajitori.kubelet.pod_worker import PodWorker
from kajitori.kubelet.resizing import refused
from kajitori.kubelet.runtime import (
    Runtime,
    RuntimeDeadline,
    RuntimeEvent,
    RuntimeEventKind,
    RuntimeFailure,
    RuntimeUnavailable,
    SandboxRecord,
)
from kajitori.kubelet.volumes.content import Contents
from kajitori.kubelet.volumes.image import CtrImageMounter

logger = logging.getLogger(__name__)

RECONNECT_S = 0.2
EARLY_EXITS_MAX = 1024
"""Exits of what no worker has seen yet (a container that ends while it is being started); the oldest are forgotten."""
LOOK_AGAIN_S = 1.0
"""After the event stream is (re)opened, pods are looked at at once and again this much later: what happened before the
subscription took hold was not told."""


class Kubelet:
    """`runtime` given: use that one (tests, or a containerd of someone else); otherwise start and keep our own."""

    def __init__(
        self,
        config: KubeletConfig,
        client: Client,
        cache: Cache,
        clock: Clock,
        runtime: Runtime | None = None,
    ) -> None:
        """`cache` must be run by the caller, who may share it with other parts of the node."""
        self.config = config
        self._client = client
        self._clock = clock
        self._cache = cache
        self._containerd = Containerd(config.containerd, clock) if runtime is None else None
        self._runtime = runtime or _cri_runtime(config)
        self._pods = cache.informer(POD, field_selector=f"spec.nodeName={config.node_name}")
        self._services = cache.informer(SERVICE)
        self._nodes = cache.informer(NODE, field_selector=f"metadata.name={config.node_name}")
        self.workers: dict[str, PodWorker] = {}
        """By pod uid."""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._pod_of: dict[str, str] = {}
        self._early_exits: deque[str] = deque(maxlen=EARLY_EXITS_MAX)
        self._context: NodeContext | None = None
        self._registration: NodeRegistration | None = None

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def client(self) -> Client:
        return self._client

    async def run(self) -> None:
        """Until cancelled. Containers go on running then, and the next agent finds them."""
        self.config.pods_dir.mkdir(parents=True, exist_ok=True)
        # Secrets lie below, readable for whoever a container runs as; the data directory may be open to others.
        self.config.root_dir.chmod(0o700)
        machine = read_machine(self.config.root_dir)
        events = EventRecorder(self._client, self._clock, "kubelet", self.config.node_name)
        self._context = self._new_context(events, machine.memory_bytes, allocatable(machine, self.config))
        housekeeping = Housekeeping(self.config, self._runtime, self._clock, self.workers.values)
        self._registration = NodeRegistration(
            self.config, self._client, self._runtime, machine, self._clock, housekeeping
        )
        try:
            async with asyncio.TaskGroup() as group:
                if self._containerd is not None:
                    group.create_task(self._containerd.run(), name="containerd")
                    await asyncio.sleep(0)
                    await self._containerd.ready(self._runtime)
                group.create_task(self._registration.run(), name="node registration")
                group.create_task(self._follow_runtime(), name="runtime events")
                group.create_task(self._run_pods(), name="pods")
                cleanup = LocalPathCleanup(self._client, self._cache, self._clock, self.config.node_name)
                group.create_task(cleanup.run(), name="local-path cleanup")
                if self.config.serving_certificate is not None:
                    from kajitori.kubelet.server.server import NodeServer

                    group.create_task(NodeServer(self, self._clock).run(), name="node API")
        finally:
            for task in self._tasks.values():
                task.cancel()
            await events.close()

    def _new_context(self, events: EventRecorder, memory_bytes: int, offers: dict[str, str]) -> NodeContext:
        objects = WatchedObjects(self._client, self._cache, self._clock, self._objects_changed)
        resolv_conf = self.config.resolv_conf
        return NodeContext(
            config=self.config,
            client=self._client,
            runtime=self._runtime,
            clock=self._clock,
            images=Images(self._runtime, self._clock),
            objects=objects,
            contents=Contents(objects, self._clock),
            image_mounter=CtrImageMounter(
                self.config.containerd.socket, read_host_traits(self.config.containerd.root).snapshotter
            ),
            events=events,
            services=self._services.list,
            address=NodeAddress((self.config.node_ip,)),
            allocatable=offers,
            memory_capacity_bytes=memory_bytes,
            host_dns=lambda: parse_resolv_conf(resolv_conf.read_text() if resolv_conf.exists() else ""),
        )

    # --- pods

    async def _run_pods(self) -> None:
        await self._pods.synced()
        await self._services.synced()
        subscribed = (self._pods.subscribe(self._pod_changed), self._nodes.subscribe(self._node_changed))
        try:
            await self._take_orphans()
            await asyncio.get_running_loop().create_future()
        finally:
            for unsubscribe in subscribed:
                unsubscribe()

    def _node_changed(self, kind: WatchEventType, node: Object, _old: Object | None) -> None:
        if self._registration is not None and kind is not WatchEventType.DELETED:
            self._registration.seen(node)

    def _pod_changed(self, kind: WatchEventType, pod: Object, _old: Object | None) -> None:
        worker = self.workers.get(uid_of(pod))
        if kind is WatchEventType.DELETED:
            if worker is not None:
                worker.remove(pod)
        elif worker is not None:
            self._judge_resize(worker, pod)
            worker.update(pod)
        else:
            self._start_worker(pod)

    def _start_worker(self, pod: Object) -> PodWorker:
        assert self._context is not None
        uid = uid_of(pod)
        worker = self.workers[uid] = PodWorker(self._context, pod, self._know)
        refused = self._refusal(pod, self._node_as_seen()) if self._is_new(pod) else None
        is_certain = refused is None or refused[0] != AFFINITY
        if is_certain:
            _admit(worker, refused)
        work = worker.run() if is_certain else self._judge_again(worker, pod)
        task = self._tasks[uid] = asyncio.get_running_loop().create_task(work, name=f"pod {uid}")
        task.add_done_callback(lambda done: self._worker_ended(uid, done))
        return worker

    def _is_new(self, pod: Object) -> bool:
        """Never seen by a node agent: one that was is taken on again without asking."""
        return not is_deleting(pod) and not (pod.get("status") or {}).get("startTime")

    async def _judge_again(self, worker: PodWorker, pod: Object) -> None:
        """By the node as it is stored: its watch may be behind that of the pods, and not know a label that the
        scheduler has seen."""
        try:
            node: Object | None = await self._client.get(NODE, self.config.node_name)
        except (StatusError, Disconnected):
            node = self._node_as_seen()
        _admit(worker, self._refusal(pod, node))
        await worker.run()

    def _node_as_seen(self) -> Object | None:
        return self._nodes.get(ObjectKey("", self.config.node_name))

    def _refusal(self, pod: Object, node: Object | None) -> tuple[str, str] | None:
        assert self._context is not None
        others = [w.state.pod for w in self.workers.values() if w.state.admitted and not is_terminal(w.state.pod)]
        # Others may have added resources to the Node; what this agent measures is its own.
        told = ((node or {}).get("status") or {}).get("allocatable") or {}
        return refusal(pod, others, {**told, **self._context.allocatable}, node)

    def _judge_resize(self, worker: PodWorker, pod: Object) -> None:
        """Whether the node can give what the pod now asks for."""
        assert self._context is not None
        if worker.state.resize_refused is None and pod["spec"] == worker.state.pod["spec"]:
            return
        others = [
            other.state.pod
            for other in self.workers.values()
            if other is not worker and other.state.admitted and not is_terminal(other.state.pod)
        ]
        worker.state.resize_refused = refused(pod, others, self._context.allocatable)

    def _worker_ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self.workers.pop(uid, None)
        self._tasks.pop(uid, None)
        for other in self.workers.values():
            if other.state.resize_refused is not None:
                self._judge_resize(other, other.state.pod)
                other.update(other.state.pod)
        for runtime_id in [key for key, owner in self._pod_of.items() if owner == uid]:
            del self._pod_of[runtime_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the worker of pod %s failed", uid, exc_info=error)

    def _objects_changed(self, pod_uid: str) -> None:
        if worker := self.workers.get(pod_uid):
            worker.objects_changed()

    async def _take_orphans(self) -> None:
        """What still runs here of pods that the API forgot while no agent was looking is ended properly."""
        while True:
            try:
                sandboxes = await self._runtime.sandboxes()
                break
            except RuntimeFailure as error:
                logger.info("cannot list sandboxes yet: %s", error)
                await self._clock.sleep(LOOK_AGAIN_S)
        for sandbox in sandboxes:
            if sandbox.uid not in self.workers and sandbox.labels.get(labels.POD_UID):
                logger.info("pod %s/%s is no longer known; removing it", sandbox.namespace, sandbox.name)
                self._start_worker(_pod_of_sandbox(sandbox)).remove()

    # --- the runtime

    async def _follow_runtime(self) -> None:
        while True:
            self._all_changed()
            self._clock.call_later(LOOK_AGAIN_S, self._all_changed)
            try:
                async for event in self._runtime.events():
                    self._take_event(event)
            except (RuntimeUnavailable, RuntimeDeadline) as error:
                logger.info("the runtime's events: %s", error)
                if self._registration is not None:
                    self._registration.changed()
            await self._clock.sleep(RECONNECT_S)

    def _take_event(self, event: RuntimeEvent) -> None:
        worker = self.workers.get(self._pod_of.get(event.container_id, ""))
        if event.kind is not RuntimeEventKind.EXITED:
            if worker is not None:
                worker.runtime_changed()
        elif worker is not None:
            worker.ended(event.container_id)
        else:
            self._early_exits.append(event.container_id)

    def _know(self, runtime_id: str, pod_uid: str) -> None:
        """A worker has seen this sandbox or container; it may have ended before that."""
        if runtime_id in self._pod_of:
            return
        self._pod_of[runtime_id] = pod_uid
        if runtime_id in self._early_exits and (worker := self.workers.get(pod_uid)):
            worker.ended(runtime_id)

    def _all_changed(self) -> None:
        if self._registration is not None:
            self._registration.changed()
        for worker in self.workers.values():
            worker.runtime_changed()

    def pods(self) -> Iterable[Object]:
        """The pods of this node, as its own API shows them."""
        for worker in self.workers.values():
            yield {**worker.state.pod, "status": worker.state.reported or worker.state.pod.get("status") or {}}


def _admit(worker: PodWorker, refused: tuple[str, str] | None) -> None:
    if refused is None:
        worker.state.admitted = True
        return
    worker.refuse(*refused)
    worker.tell("Warning", *refused)


def _cri_runtime(config: KubeletConfig) -> Runtime:
    from kajitori.kubelet.cri_runtime import CriRuntime

    runtime: Runtime = CriRuntime(str(config.containerd.socket))
    return runtime


def _pod_of_sandbox(sandbox: SandboxRecord) -> Object:
    """From the note on the sandbox; enough of it to end the pod."""
    try:
        pod: Any = json.loads(sandbox.annotations[labels.POD_MANIFEST])
        return {**pod, "spec": {"containers": [], **pod["spec"]}}
    except (KeyError, ValueError, TypeError):
        metadata = {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}
