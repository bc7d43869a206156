"""A node agent on a fake runtime, under a real API server in memory, on virtual time."""

import asyncio
import contextlib
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from fake_runtime import FakeRuntime

from kajitori.api.core import EVENT, POD
from kajitori.api.errors import NotFound
from kajitori.client.cache import Cache
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd_config import ContainerdConfig
from kajitori.kubelet.kubelet import Kubelet
from kajitori.testing.cluster import ControlPlane

NODE_NAME = "node-a"


def pod_object(name="web", *, containers=None, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": NODE_NAME,
            "automountServiceAccountToken": False,
            "containers": containers or [{"name": "main", "image": "app:1"}],
            **spec,
        },
    }


class FakeNode:
    def __init__(self, plane, directory):
        self.plane, self.client, self.clock = plane, plane.client, plane.clock
        self.runtime = FakeRuntime(self.clock)
        containerd = ContainerdConfig(root=directory / "c", state=directory / "s", cni_conf_dir=directory / "n")
        self.config = KubeletConfig(
            node_name=NODE_NAME,
            node_ip="192.0.2.1",
            root_dir=directory,
            containerd=containerd,
            resolv_conf=directory / "resolv.conf",
            cgroup_root=directory / "cgroup",
        )
        self.kubelet = None
        self._tasks = []

    async def start(self):
        cache = Cache(self.client, self.clock)
        self.kubelet = Kubelet(self.config, self.client, cache, self.clock, self.runtime)
        self._tasks = [asyncio.create_task(cache.run()), asyncio.create_task(self.kubelet.run())]
        await self.advance(1.5)

    async def stop(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def advance(self, seconds):
        await self.clock.advance(seconds)
        for task in self._tasks:
            if task.done():
                task.result()

    async def settle(self):
        """Long enough for everything that waits for nothing but the loop, and for the runtime's list to catch up."""
        await self.clock.advance(0.3)

    async def create(self, pod):
        created = await self.client.create(POD, pod)
        await self.settle()
        return created

    async def pod(self, name="web"):
        return await self.client.get(POD, name, "default")

    async def container(self, name="web", index=0):
        return (await self.pod(name))["status"]["containerStatuses"][index]

    async def exists(self, name="web"):
        try:
            await self.pod(name)
        except NotFound:
            return False
        return True

    async def reasons(self):
        """Reasons of all events, oldest first."""
        await self.kubelet._context.events.flush()
        events = (await self.client.list(EVENT, "default")).items
        return [event["reason"] for event in sorted(events, key=lambda e: e["metadata"]["creationTimestamp"])]


class InlineExecutor(ThreadPoolExecutor):
    """Runs at once what should run in a thread, so that virtual time need not wait for real threads."""

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextlib.asynccontextmanager
async def fake_node():
    asyncio.get_running_loop().set_default_executor(InlineExecutor())
    with tempfile.TemporaryDirectory() as directory:
        async with ControlPlane() as plane:
            node = FakeNode(plane, Path(directory))
            await node.start()
            try:
                yield node
            finally:
                await node.stop()
