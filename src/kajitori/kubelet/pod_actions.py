"""Carrying out what was decided for a pod: each action is a few runtime calls, with the events that upstream tells."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from kajitori.api.core import POD
from kajitori.api.errors import Conflict, NotFound, StatusError
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.api.node import RUNTIME_CLASS
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import within
from kajitori.kubelet.actions import (
    Action,
    CreateSandbox,
    Finish,
    KillContainer,
    MountVolumes,
    RemoveContainer,
    RemoveSandbox,
    ResizeContainer,
    StartContainer,
    StopSandbox,
    TearDown,
)
from kajitori.kubelet.cgroup_files import make_pod_cgroup
from kajitori.kubelet.cgroups import container_resources, pod_cgroup, pod_level_resources
from kajitori.kubelet.container_start import ContainerStarter, StartProblem
from kajitori.kubelet.context import NodeContext
from kajitori.kubelet.hooks import HookFailed, run_hook
from kajitori.kubelet.images import ImageProblem
from kajitori.kubelet.pod_state import PodState, Waiting, container_named
from kajitori.kubelet.purge import remove_cgroup
from kajitori.kubelet.resizing import resizable
from kajitori.kubelet.runtime import ContainerRecord, RuntimeFailure, RuntimeNotFound
from kajitori.kubelet.sandbox_spec import sandbox_config
from kajitori.kubelet.volumes.content import Downward
from kajitori.kubelet.volumes.image import ImageMountFailed
from kajitori.kubelet.volumes.pod_volumes import PodVolumes
from kajitori.kubelet.volumes.problems import VolumeProblem

logger = logging.getLogger(__name__)

GRACE_AFTER_HOOK_MIN_S = 2.0
"""What SIGTERM gets even when preStop has used up the grace period."""


class ActionFailed(Exception):
    """It has been reported already; `retry_s` says when to try again, None after the usual back-off."""

    def __init__(self, retry_s: float | None = None) -> None:
        super().__init__()
        self.retry_s = retry_s


class Tell(Protocol):
    def __call__(self, type_: str, reason: str, message: str, container: str = "") -> None: ...


Drained = Callable[[], Awaitable[None]]


class PodActions:
    def __init__(self, context: NodeContext, state: PodState, tell: Tell) -> None:
        self._context = context
        self._state = state
        self._tell = tell
        self._volumes = PodVolumes(
            context.config.pod_dir(state.uid), context.objects, context.contents, context.clock, self._mount_image
        )
        self.starter = ContainerStarter(context, state, self._volumes)

    async def perform(self, action: Action, status_written: Drained) -> None:
        """Raises ActionFailed."""
        try:
            match action:
                case MountVolumes():
                    await self._mount()
                case CreateSandbox():
                    await self._create_sandbox(action)
                case StopSandbox():
                    await self._context.runtime.stop_sandbox(action.sandbox_id)
                case RemoveSandbox():
                    await self._context.runtime.remove_sandbox(action.sandbox_id)
                case StartContainer():
                    await self._start(action)
                case KillContainer():
                    await self._kill(action)
                case ResizeContainer():
                    await self._resize(action)
                case RemoveContainer():
                    await self._context.runtime.remove_container(action.container_id)
                case TearDown():
                    await self._tear_down(remove=action.remove)
                case Finish():
                    await self._finish(status_written)
        except RuntimeNotFound:
            return
        except RuntimeFailure as error:
            logger.warning("pod %s: %s: %s", self._state.full_name, type(action).__name__, error)
            raise ActionFailed from None

    # --- beginning

    async def _mount(self) -> None:
        await self.set_up_volumes(Downward(self.starter.field, self.starter.resource))
        self._state.volumes_mounted = True

    async def set_up_volumes(self, downward: Downward) -> None:
        try:
            await self._volumes.set_up(self._state.pod, downward)
        except VolumeProblem as problem:
            self._tell("Warning", "FailedMount", str(problem))
            raise ActionFailed from None

    async def _mount_image(self, source: Object, target: Path) -> None:
        def tell(type_: str, reason: str, message: str) -> None:
            self._tell(type_, reason, message)

        try:
            name, _ = await self._context.images.ensure(
                self._state.uid, source["reference"], source.get("pullPolicy") or "", tell
            )
        except ImageProblem as problem:
            raise ImageMountFailed(f"{problem.reason}: {problem}") from None
        await self._context.image_mounter.mount(name, target)

    async def refresh_volumes(self, downward: Downward) -> None:
        try:
            await self._volumes.refresh(self._state.pod, downward)
        except VolumeProblem as problem:
            self._tell("Warning", "FailedMount", str(problem))
            raise ActionFailed from None

    async def _create_sandbox(self, action: CreateSandbox) -> None:
        context = self._context
        for old in self._state.sandboxes[:1]:
            await context.runtime.stop_sandbox(old.id)
        handler = await self._runtime_handler()
        config = sandbox_config(self._state.pod, action.attempt, context.config, context.host_dns(), handler)
        make_pod_cgroup(config.cgroup_parent, pod_level_resources(self._state.pod), context.config.cgroup_root)
        try:
            await context.runtime.run_sandbox(config)
        except RuntimeFailure as error:
            self._tell("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            raise ActionFailed from None

    async def _runtime_handler(self) -> str:
        """The handler that the pod's RuntimeClass names."""
        name = self._state.spec.get("runtimeClassName")
        if not name:
            return ""
        try:
            return str((await self._context.client.get(RUNTIME_CLASS, name)).get("handler") or "")
        except NotFound:
            message = f'failed to get sandbox runtime: RuntimeClass "{name}" not found'
        except (StatusError, Disconnected) as error:
            message = f"failed to get sandbox runtime: {error}"
        self._tell("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {message}")
        raise ActionFailed

    async def _start(self, action: StartContainer) -> None:
        def tell(type_: str, reason: str, message: str) -> None:
            self._tell(type_, reason, message, action.name)

        try:
            container_id = await self.starter.start(action, tell)
        except StartProblem as problem:
            self._state.waiting[action.name] = Waiting(problem.reason, str(problem))
            raise ActionFailed(problem.retry_s) from None
        self._state.waiting.pop(action.name, None)
        await self._post_start(action, container_id)

    async def _post_start(self, action: StartContainer, container_id: str) -> None:
        container = container_named(self._state.spec, action.name) or {}
        handler = (container.get("lifecycle") or {}).get("postStart")
        if not handler:
            return
        record = await self._record(container_id)
        if record is None:
            return
        ip = self.starter.pod_ips[0] if self.starter.pod_ips else "127.0.0.1"
        try:
            await run_hook(handler, container, record, ip, self._context.runtime, self._context.clock)
        except HookFailed as error:
            self._tell("Warning", "FailedPostStartHook", f"PostStartHook failed: {error}", action.name)
            self._state.waiting[action.name] = Waiting("PostStartHookError", f"PostStartHook failed: {error}")
            kill = KillContainer(container_id, action.name, 30.0, "Killing", "FailedPostStartHook")
            await self._kill(kill)

    async def _resize(self, action: ResizeContainer) -> None:
        """The pod's own cgroup is widened before and narrowed after its container's."""
        context, state = self._context, self._state
        container = container_named(state.spec, action.name)
        if container is None:
            return
        wanted = resizable(container)
        cgroup, root = pod_cgroup(context.config.cgroup, state.pod), context.config.cgroup_root
        make_pod_cgroup(cgroup, pod_level_resources(state.pod), root)
        resources = container_resources(state.pod, container, context.memory_capacity_bytes)
        await context.runtime.update_resources(action.container_id, resources)
        make_pod_cgroup(cgroup, pod_level_resources(state.pod), root)
        state.resized[action.container_id] = wanted

    async def _record(self, container_id: str) -> ContainerRecord | None:
        records = await self._context.runtime.containers(self._state.uid)
        return next((record for record in records if record.id == container_id), None)

    # --- ending

    async def _kill(self, action: KillContainer) -> None:
        context = self._context
        message = action.message or f"Stopping container {action.name}"
        self._tell("Normal", "Killing", message, action.name)
        began_s = context.clock.monotonic()
        container = container_named(self._state.spec, action.name) or {}
        handler = (container.get("lifecycle") or {}).get("preStop")
        if handler and action.grace_s > 0:
            await self._pre_stop(handler, container, action)
        left_s = action.grace_s - (context.clock.monotonic() - began_s)
        grace_s = max(left_s, GRACE_AFTER_HOOK_MIN_S) if handler else max(left_s, 0.0)
        try:
            await context.runtime.stop_container(action.container_id, grace_s)
        except RuntimeFailure:
            self._state.kill_deadlines_s.pop(action.container_id, None)
            raise

    async def _pre_stop(self, handler: dict[str, object], container: dict[str, object], action: KillContainer) -> None:
        record = await self._record(action.container_id)
        if record is None:
            return
        ip = self.starter.pod_ips[0] if self.starter.pod_ips else "127.0.0.1"
        hook = run_hook(handler, container, record, ip, self._context.runtime, self._context.clock)
        try:
            await within(self._context.clock, action.grace_s, hook)
        except TimeoutError:
            logger.info("preStop hook of %s took its whole grace period", action.name)
        except HookFailed as error:
            self._tell("Warning", "FailedPreStopHook", f"PreStopHook failed: {error}", action.name)

    async def _tear_down(self, *, remove: bool) -> None:
        state, context = self._state, self._context
        await self._volumes.tear_down(state.pod)
        if remove:
            for records in state.containers.values():
                for record in records:
                    await context.runtime.remove_container(record.id)
            for sandbox in state.sandboxes:
                await context.runtime.remove_sandbox(sandbox.id)
            remove_cgroup(pod_cgroup(context.config.cgroup, state.pod), context.config.cgroup_root)
        state.volumes_mounted = False
        state.torn_down = True

    async def _finish(self, status_written: Drained) -> None:
        state, context, pod = self._state, self._context, self._state.pod
        for directory in (
            context.config.pod_dir(state.uid),
            context.config.log_directory(namespace_of(pod), name_of(pod), state.uid),
        ):
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        context.images.forget(state.uid)
        context.objects.release(state.uid)
        if not state.removed:
            await status_written()
            try:
                await context.client.delete(POD, name_of(pod), namespace_of(pod), grace_period_s=0, uid=state.uid)
            except (NotFound, Conflict):
                pass
            except (StatusError, Disconnected) as error:
                logger.warning("pod %s is gone from the node, but the API: %s", state.full_name, error)
                raise ActionFailed from None
        state.finished = True
