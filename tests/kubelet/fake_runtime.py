"""A container runtime in memory: containers run until told otherwise."""

import asyncio
import itertools
from dataclasses import replace

from kajitori.kubelet import labels
from kajitori.kubelet.runtime import (
    ContainerRecord,
    ContainerState,
    ExecResult,
    ImageRecord,
    RuntimeEvent,
    RuntimeEventKind,
    RuntimeFailure,
    RuntimeHealth,
    RuntimeVersion,
    SandboxRecord,
)


class FakeRuntime:
    def __init__(self, clock):
        self.clock = clock
        self.calls = []
        self.present = {"docker.io/library/app:1", "docker.io/library/init:1"}
        self.configs = {}
        self.boxes = {}
        self.found = {}
        self.exec_codes = {}
        """Exit code by the command's first word."""
        self.refuse = {}
        """Method name -> message of the failure it raises."""
        self.ends_at_once = {}
        """Container name -> exit code, for those that end as soon as they start."""
        self.list_lag_s = 0.0
        """How long what ends as soon as it starts is listed as created, and then again as running."""
        self.ignores_sigterm = set()
        self._ids = itertools.count(1)
        self._events = asyncio.Queue()

    def _check(self, method, *about):
        self.calls.append((method, *about))
        if method in self.refuse:
            raise RuntimeFailure(self.refuse[method])

    async def version(self):
        return RuntimeVersion("containerd", "fake")

    async def health(self):
        return RuntimeHealth()

    async def run_sandbox(self, config):
        self._check("run_sandbox", config.attempt)
        number = next(self._ids)
        self.boxes[f"box-{number}"] = SandboxRecord(
            id=f"box-{number}",
            name=config.name,
            namespace=config.namespace,
            uid=config.uid,
            attempt=config.attempt,
            ready=True,
            created_s=self.clock.now() + number / 1000,
            ips=(f"10.244.0.{number}",),
            labels=config.labels,
            annotations=config.annotations,
        )
        return f"box-{number}"

    async def stop_sandbox(self, sandbox_id):
        self._check("stop_sandbox", sandbox_id)
        for record in list(self.found.values()):
            if record.sandbox_id == sandbox_id and record.state is ContainerState.RUNNING:
                self.exit(record.id, 137)
        self.boxes[sandbox_id] = replace(self.boxes[sandbox_id], ready=False)

    async def remove_sandbox(self, sandbox_id):
        self._check("remove_sandbox", sandbox_id)
        del self.boxes[sandbox_id]

    async def sandboxes(self, pod_uid=""):
        found = [box for box in self.boxes.values() if pod_uid in ("", box.uid)]
        return sorted(found, key=lambda box: box.created_s, reverse=True)

    async def create_container(self, sandbox_id, config, sandbox):
        self._check("create_container", config.name)
        number = next(self._ids)
        key = f"container-{number}"
        self.configs[key] = config
        self.found[key] = ContainerRecord(
            id=key,
            sandbox_id=sandbox_id,
            name=config.name,
            attempt=config.attempt,
            state=ContainerState.CREATED,
            created_s=self.clock.now() + number / 1000,
            image=config.image,
            image_ref="sha256:1",
            labels=config.labels,
            annotations=config.annotations,
        )
        return key

    async def start_container(self, container_id):
        record = self.found[container_id]
        self._check("start_container", record.name)
        if self.list_lag_s and record.name in self.ends_at_once:
            self._tell(RuntimeEventKind.STARTED, container_id)
            self._tell(RuntimeEventKind.EXITED, container_id)
            await self.clock.sleep(self.list_lag_s)
            self.found[container_id] = replace(record, state=ContainerState.RUNNING, started_s=self.clock.now())
            self.clock.call_later(self.list_lag_s, lambda: self._end(container_id, self.ends_at_once[record.name]))
            return
        self.found[container_id] = replace(record, state=ContainerState.RUNNING, started_s=self.clock.now())
        self._tell(RuntimeEventKind.STARTED, container_id)
        if record.name in self.ends_at_once:
            self.exit(container_id, self.ends_at_once[record.name])

    async def stop_container(self, container_id, grace_s):
        record = self.found[container_id]
        self._check("stop_container", record.name, round(grace_s))
        if record.name in self.ignores_sigterm:
            await self.clock.sleep(grace_s)
            self.exit(container_id, 137)
        elif record.state is ContainerState.RUNNING:
            self.exit(container_id, 143)

    async def remove_container(self, container_id):
        self._check("remove_container", self.found[container_id].name)
        del self.found[container_id]

    async def containers(self, pod_uid):
        found = [r for r in self.found.values() if r.labels[labels.POD_UID] == pod_uid]
        return sorted(found, key=lambda r: r.created_s, reverse=True)

    async def exec_sync(self, container_id, command, timeout_s):
        self._check("exec", *command)
        return ExecResult(b"", b"", self.exec_codes.get(command[0], 0))

    async def update_resources(self, container_id, wanted):
        self._check("update_resources", self.found[container_id].name, wanted.cpu_quota, wanted.memory_limit_bytes)

    async def usage(self):
        return []

    async def image(self, name):
        return ImageRecord(id=name, tags=(name,), digests=(), size_bytes=10) if name in self.present else None

    async def images(self):
        return []

    async def pull_image(self, name):
        self._check("pull_image", name)
        self.present.add(name)
        return name

    async def events(self):
        while True:
            yield await self._events.get()

    def _tell(self, kind, container_id):
        self._events.put_nowait(RuntimeEvent(kind, container_id))

    def exit(self, container_id, code, reason=""):
        """A container's main process ends."""
        self._end(container_id, code, reason)
        self._tell(RuntimeEventKind.EXITED, container_id)

    def _end(self, container_id, code, reason=""):
        record = self.found[container_id]
        self.found[container_id] = replace(
            record,
            state=ContainerState.EXITED,
            exit_code=code,
            finished_s=self.clock.now(),
            reason=reason or ("Completed" if code == 0 else "Error"),
        )

    def running(self, name):
        return next((r for r in self.found.values() if r.name == name and r.state is ContainerState.RUNNING), None)

    def done(self, method):
        """What a method was called with, in order."""
        return [call[1:] for call in self.calls if call[0] == method]
