"""One pod on this node: folds what happens into its state, and does what `lifecycle.decide` says.

The thin shell around the pure rules. It sleeps until something happens (the API, the runtime, a probe, an action of its
own ending, or a moment that the plan named), looks at the runtime if that may have changed, decides, starts actions as
tasks (one at a time for each key), and reports the status when it differs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Timer
from kajitori.kubelet import labels
from kajitori.kubelet.actions import Action, Report
from kajitori.kubelet.container_status import all_reported, container_id
from kajitori.kubelet.context import NodeContext
from kajitori.kubelet.lifecycle import decide
from kajitori.kubelet.pod_actions import ActionFailed, PodActions
from kajitori.kubelet.pod_state import ContainerKind, KillWish, PodEnd, PodState, ProbeState, container_named, kind_of
from kajitori.kubelet.pod_status import status_of
from kajitori.kubelet.probes import FIELDS, ProbeKind, Prober, Target
from kajitori.kubelet.runtime import ContainerRecord, ContainerState, RuntimeFailure
from kajitori.kubelet.status_writer import StatusWriter
from kajitori.kubelet.termination_message import read_message
from kajitori.kubelet.volumes.content import Downward

logger = logging.getLogger(__name__)

RETRY = Backoff(initial_s=1.0, max_s=30.0)
LOOK_AGAIN_S = 1.0
LAG = Backoff(initial_s=0.01, max_s=10.0)
"""The runtime's list may lag behind its events: until it shows an end that was told, looks after 10, 20, 40 ... ms."""


class PodWorker:
    def __init__(self, context: NodeContext, pod: Object, known: Callable[[str, str], None]) -> None:
        """`known(runtime id, pod uid)` is told of every sandbox and container that is seen."""
        self._context = context
        self._known = known
        self.state = PodState(pod)
        self._actions = PodActions(context, self.state, self.tell)
        self._status = StatusWriter(context.client, context.clock, pod.get("status") or {})
        self._wakeup = asyncio.Event()
        self._look = True
        self._refresh = False
        self._timer: Timer | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._probers: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._messages: dict[str, str] = {}
        self._ended: dict[str, int] = {}
        self._next_look: Timer | None = None
        self._watchers: list[Callable[[], None]] = []

    # --- what happens

    def update(self, pod: Object) -> None:
        old = self.state.pod
        self.state.pod = pod
        if old["metadata"].get("labels") != pod["metadata"].get("labels") or old["metadata"].get("annotations") != pod[
            "metadata"
        ].get("annotations"):
            self._refresh = True
        if self._status.is_overwritten(pod):
            self._status.write(pod, self.state.reported)
        self._wakeup.set()

    def remove(self, pod: Object | None = None) -> None:
        """The API no longer has it."""
        if pod is not None:
            self.state.pod = pod
        self.state.removed = True
        self._wakeup.set()

    def ended(self, runtime_id: str) -> None:
        """The runtime told that a container or sandbox has ended; what it lists may lag a few milliseconds behind."""
        self._ended[runtime_id] = 0
        self.runtime_changed()

    def runtime_changed(self) -> None:
        self._look = True
        self._wakeup.set()

    def objects_changed(self) -> None:
        """Something that its volumes are made from."""
        self._refresh = True
        self.state.retry_at_s.clear()
        self._wakeup.set()

    def stop(self, end: PodEnd) -> None:
        """End it for good: evicted."""
        if self.state.end is None:
            self.state.end = end
            self._wakeup.set()

    def refuse(self, reason: str, message: str) -> None:
        """Not admitted to this node."""
        self.state.end = PodEnd(reason, f"Pod was rejected: {message}")
        self._wakeup.set()

    def tell(self, type_: str, reason: str, message: str, container: str = "") -> None:
        path = ""
        if container:
            kind = kind_of(self.state.spec, container)
            field = {
                ContainerKind.INIT: "spec.initContainers",
                ContainerKind.SIDECAR: "spec.initContainers",
                ContainerKind.EPHEMERAL: "spec.ephemeralContainers",
            }.get(kind, "spec.containers")
            path = f"{field}{{{container}}}"
        self._context.events.event(self.state.pod, type_, reason, message, field_path=path)

    def subscribe(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` whenever the runtime has been looked at again; returns what ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    # --- the loop

    async def run(self) -> None:
        """Until the pod is gone from the node and from the API."""
        self.state.started_s = self.state.started_s or self._context.clock.now()
        self._wakeup.set()
        try:
            while not self.state.finished:
                await self._wakeup.wait()
                self._wakeup.clear()
                await self._safe_step()
        finally:
            self._close()

    def _close(self) -> None:
        for timer in (self._timer, self._next_look):
            if timer is not None:
                timer.cancel()
        for task in (*self._tasks.values(), *self._probers.values()):
            task.cancel()
        self._status.close()
        # Whoever follows a log of this pod sees that it is over.
        self.state.containers = {}
        for watcher in tuple(self._watchers):
            watcher()

    async def _safe_step(self) -> None:
        """A fault of ours must not leave a pod without its agent for good."""
        try:
            await self._step()
        except Exception:
            logger.exception("pod %s", self.state.full_name)
            self._look = True
            self._context.clock.call_later(RETRY.max_s, self._wakeup.set)

    async def _step(self) -> None:
        if self._look:
            self._look = False
            await self._observe()
        if self._refresh and self.state.volumes_mounted and "refresh" not in self.state.busy:
            self._refresh = False
            self._launch("refresh", self._refresh_volumes())
        if self.state.is_leaving:
            self._abandon_starts()
        plan = decide(self.state, self._context.clock.now())
        for action in plan.actions:
            if isinstance(action, Report):
                self.tell(action.type, action.reason, action.message, action.container)
            else:
                self._act(action)
        self._report()
        self._wake_at(plan.wake_at_s)

    def _wake_at(self, at_s: float | None) -> None:
        rotation_s = self._context.contents.next_rotation_s(self.state.uid) if self.state.volumes_mounted else None
        moments = [moment for moment in (at_s, rotation_s) if moment is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if moments:
            due_s = min(moments)

            def wake() -> None:
                if rotation_s is not None and due_s == rotation_s:
                    self._refresh = True
                self._wakeup.set()

            self._timer = self._context.clock.call_later(max(0.0, due_s - self._context.clock.now()), wake)

    async def _observe(self) -> None:
        runtime, uid = self._context.runtime, self.state.uid
        try:
            sandboxes, containers = await asyncio.gather(runtime.sandboxes(uid), runtime.containers(uid))
        except RuntimeFailure as error:
            logger.info("pod %s: %s; looking again", self.state.full_name, error)
            self._look = True
            self._context.clock.call_later(LOOK_AGAIN_S, self._wakeup.set)
            return
        self.state.take_records(sandboxes, [self._with_message(record) for record in containers])
        for name in list(self.state.waiting):
            latest = self.state.latest(name)
            if latest is not None and latest.state is ContainerState.RUNNING:
                del self.state.waiting[name]
        self._messages = {record.id: self._messages[record.id] for record in containers if record.id in self._messages}
        for known_id in (*(box.id for box in sandboxes), *(record.id for record in containers)):
            self._known(known_id, uid)
        self._look_for_ended()
        self._tend_probers()
        for watcher in tuple(self._watchers):
            watcher()

    def _look_for_ended(self) -> None:
        """Look again soon while something that has ended is listed as if it had not.

        That includes a container listed as created: one that ends at once may do so before its start is listed, and
        would be taken for running ever after.
        """
        alive = {box.id for box in self.state.sandboxes if box.ready}
        for records in self.state.containers.values():
            alive |= {r.id for r in records if r.state in (ContainerState.CREATED, ContainerState.RUNNING)}
        self._ended = {runtime_id: looks + 1 for runtime_id, looks in self._ended.items() if runtime_id in alive}
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._ended:
            delay_s = LAG.delay_s(min(self._ended.values()))
            self._next_look = self._context.clock.call_later(delay_s, self.runtime_changed)

    def _with_message(self, record: ContainerRecord) -> ContainerRecord:
        """An ended container's message file is read once."""
        if record.state is not ContainerState.EXITED:
            return record
        if record.id not in self._messages:
            log = self._context.config.log_directory(
                namespace_of(self.state.pod), name_of(self.state.pod), self.state.uid
            )
            notes = record.annotations
            self._messages[record.id] = read_message(
                notes.get(labels.TERMINATION_HOST_PATH, ""),
                notes.get(labels.TERMINATION_POLICY, "File"),
                log / record.name / Path(f"{record.attempt}.log"),
                record.exit_code,
            )
        return replace(record, message=self._messages[record.id] or record.message)

    def _report(self) -> None:
        if not self.state.observed or self.state.removed:
            return
        status = status_of(self.state, self._context.address, self._context.clock.now())
        if status != self.state.reported:
            self.state.reported = status
            self._status.write(self.state.pod, status)

    # --- actions

    def _act(self, action: Action) -> None:
        self._launch(action.key, self._actions.perform(action, self._status.drained))

    def _launch(self, key: str, work: Awaitable[None]) -> None:
        self.state.busy.add(key)

        async def run() -> None:
            try:
                await work
                self._failures.pop(key, None)
                self.state.retry_at_s.pop(key, None)
            except ActionFailed as failed:
                count = self._failures[key] = self._failures.get(key, 0) + 1
                delay_s = RETRY.delay_s(count) if failed.retry_s is None else failed.retry_s
                self.state.retry_at_s[key] = self._context.clock.now() + delay_s
            except Exception:
                logger.exception("pod %s: %s failed", self.state.full_name, key)
                self.state.retry_at_s[key] = self._context.clock.now() + RETRY.max_s
            finally:
                self.state.busy.discard(key)
                self._tasks.pop(key, None)
                self.runtime_changed()

        task = asyncio.get_running_loop().create_task(run(), name=f"{self.state.full_name}: {key}")
        self._tasks[key] = task

    def _abandon_starts(self) -> None:
        """A pod that leaves does not wait for an image. What such a start has made already, the runtime shows."""
        for key, task in self._tasks.items():
            if key.startswith("container "):
                task.cancel()

    async def _refresh_volumes(self) -> None:
        starter = self._actions.starter
        await self._actions.refresh_volumes(Downward(starter.field, starter.resource))

    # --- probes

    def _tend_probers(self) -> None:
        running = {record.id: record for record in self.state.running()}
        for gone in [key for key in self._probers if key not in running]:
            self._probers.pop(gone).cancel()
        for record in running.values():
            if record.id not in self.state.probes:
                self._begin_probing(record)
        if self.state.is_leaving or self.state.end:
            return
        for record in running.values():
            container = container_named(self.state.spec, record.name)
            if container is None or record.id in self._probers:
                continue
            if f"container {record.name}" not in self.state.busy and any(container.get(f) for f in FIELDS.values()):
                self._probers[record.id] = self._start_prober(record, container)

    def _begin_probing(self, record: ContainerRecord) -> None:
        container = container_named(self.state.spec, record.name) or {}
        known = next(
            (s for s in all_reported(self.state.pod) if s.get("containerID") == container_id(record)),
            None,
        )
        started = not container.get("startupProbe") or bool(known and known.get("started"))
        ready = not container.get("readinessProbe") or bool(known and known.get("ready"))
        self.state.probes[record.id] = ProbeState(started, ready)

    def _start_prober(self, record: ContainerRecord, container: Object) -> asyncio.Task[None]:
        def ip() -> str:
            ips = self._actions.starter.pod_ips
            return ips[0] if ips else "127.0.0.1"

        def verdict(kind: ProbeKind, passed: bool) -> None:
            self._probed(record, container, kind, passed)

        def failure(kind: ProbeKind, message: str) -> None:
            self.tell("Warning", "Unhealthy", message, record.name)

        known = self.state.probes[record.id]
        prober = Prober(
            Target(record.id, container, ip),
            self._context.runtime,
            self._context.clock,
            record.started_s,
            verdict,
            failure,
            lambda: self.state.is_leaving,
        )
        return asyncio.get_running_loop().create_task(
            prober.run(started=known.started, ready=known.ready), name=f"probes of {record.name}"
        )

    def _probed(self, record: ContainerRecord, container: Object, kind: ProbeKind, passed: bool) -> None:
        probes = self.state.probes.get(record.id)
        if probes is None:
            return
        if kind is ProbeKind.READINESS:
            probes.ready = passed
        elif kind is ProbeKind.STARTUP and passed:
            probes.started = True
        elif not passed and not self.state.is_leaving:
            probe = container[FIELDS[kind]]
            message = f"Container {record.name} failed {kind.lower()} probe, will be restarted"
            grace = probe.get("terminationGracePeriodSeconds")
            self.state.kill_wishes[record.id] = KillWish("Killing", message, None if grace is None else float(grace))
        self._wakeup.set()
