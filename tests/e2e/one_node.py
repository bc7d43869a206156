"""A real node (our agent, containerd, CNI) under an API server in the same process, in namespaces of its own."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from kajitori.api.authorization import SUBJECT_ACCESS_REVIEW
from kajitori.api.core import NODE, POD
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, condition_is
from kajitori.api.resource import Resource
from kajitori.apiserver.local_client import LocalClient
from kajitori.apiserver.pki import create_authority, issue_client, issue_serving
from kajitori.app.image.build import cache_folder
from kajitori.app.image.oci import Layer, write_archive
from kajitori.client.cache import Cache
from kajitori.client.interface import PatchType
from kajitori.kit import log
from kajitori.kit.clock import SystemClock
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd import import_archive
from kajitori.kubelet.containerd_config import ContainerdConfig
from kajitori.kubelet.kubelet import Kubelet
from kajitori.kubelet.purge import purge_node
from kajitori.network.cni import PodNetwork, PodNetworkConfig
from kajitori.testing.cluster import ControlPlane

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
IMAGE = "busybox:test"
NODE_NAME = "node-a"


def busybox_archive() -> Path:
    """An image with nothing but Debian's static busybox; made once and kept with the other built images."""
    output = cache_folder() / "busybox-test.tar"
    if output.exists():
        return output
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        subprocess.run(["apt-get", "download", "busybox-static"], cwd=directory, check=True, capture_output=True)
        package = next(directory.glob("busybox-static*.deb"))
        unpacked, root = directory / "unpacked", directory / "root"
        subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)
        (root / "bin").mkdir(parents=True)
        binary = root / "bin" / "busybox"
        shutil.copy(unpacked / "bin" / "busybox", binary)
        names = subprocess.run([str(binary), "--list"], check=True, capture_output=True, text=True).stdout.split()
        for name in names:
            if name != "busybox":
                (root / "bin" / name).symlink_to("busybox")
        (root / "tmp").mkdir(mode=0o1777)
        (root / "etc").mkdir()
        (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
        layer = directory / "layer.tar"
        subprocess.run(["tar", "-C", str(root), "--owner=0", "--group=0", "-cf", str(layer), "."], check=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        write_archive(output, IMAGE, [Layer.of(layer)], {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]})
    return output


def in_own_namespaces(main: Callable[[], Awaitable[None]], timeout_s: float = 400) -> None:
    """Run in a child with its own network and mounts; its failure is the caller's."""
    busybox_archive()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
            command = (
                "mount --make-rprivate / && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up"
            )
            subprocess.run(["/bin/sh", "-c", command], check=True)
            log.configure()
            uvloop.run(asyncio.wait_for(main(), timeout_s))
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the test in its own namespaces failed: its trace is above"


class ReviewingClient(LocalClient):
    """To a server that lets everybody do everything, but allows nobody when it is asked."""

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None, **options: Any) -> Object:
        if resource is SUBJECT_ACCESS_REVIEW:
            return {**obj, "status": {"allowed": False}}
        return await super().create(resource, obj, namespace, **options)


class Node:
    """The agent can be stopped and started again while containers run."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        self.plane = plane
        self.client = ReviewingClient(plane.server)
        self.clock = SystemClock()
        self.containerd = ContainerdConfig(
            root=directory / "containerd",
            state=Path("/run") / directory.name,
            cni_conf_dir=directory / "cni",
        )
        self.config = KubeletConfig(
            node_name=NODE_NAME,
            node_ip="127.0.0.1",
            root_dir=directory / "kubelet",
            containerd=self.containerd,
            serving_certificate=directory / "pki" / "serving.crt",
            serving_key=directory / "pki" / "serving.key",
            client_ca=directory / "pki" / "ca.crt",
        )
        pki = directory / "pki"
        pki.mkdir()
        authority = create_authority("test", self.clock.now())
        serving = issue_serving(authority, f"system:node:{NODE_NAME}", ["127.0.0.1"], self.clock.now())
        asking = issue_client(authority, "kube-apiserver-kubelet-client", (), self.clock.now())
        other = issue_client(authority, "someone", (), self.clock.now())
        (pki / "ca.crt").write_bytes(authority.certificate)
        for name, pair in (("serving", serving), ("asking", asking), ("other", other)):
            (pki / f"{name}.crt").write_bytes(pair.certificate)
            (pki / f"{name}.key").write_bytes(pair.key)
        self.pki = pki
        self._network = PodNetworkConfig(NODE_NAME, directory / "cni", directory / "ipam")
        self._tasks: list[asyncio.Task[None]] = []
        self.kubelet: Kubelet

    async def start(self) -> None:
        self.config.root_dir.mkdir(parents=True, exist_ok=True)
        cache = Cache(self.client, self.clock)
        self.kubelet = Kubelet(self.config, self.client, cache, self.clock)
        network = PodNetwork(self._network, cache, self.clock)
        for work in (self.kubelet.run(), network.run(), cache.run()):
            self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def connect(self, identity: str = "asking") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection to the node's own API."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / f"{identity}.crt", self.pki / f"{identity}.key")
        return await asyncio.open_connection("127.0.0.1", self.config.port, ssl=context)

    async def ask(self, path: str, identity: str = "asking") -> tuple[int, bytes]:
        """GET a path of the node's own API: status and body."""
        reader, writer = await self.connect(identity)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
        answer = await reader.read()
        while more := await reader.read():
            answer += more
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), unchunked(body) if b"chunked" in head else body

    def check(self) -> None:
        """A part that failed fails the test."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def until(self, what: Callable[[], Awaitable[bool]], timeout_s: float = 60) -> None:
        """Ask until it holds."""
        deadline_s = self.clock.monotonic() + timeout_s
        while not await what():
            self.check()
            assert self.clock.monotonic() < deadline_s, f"{what} did not become true"
            await asyncio.sleep(0.02)

    async def ready(self) -> None:
        async def registered() -> bool:
            try:
                await self.client.get(NODE, NODE_NAME)
            except NotFound:
                return False
            return True

        async def is_ready() -> bool:
            return condition_is(await self.client.get(NODE, NODE_NAME), "Ready")

        await self.until(registered)
        cidr = {"spec": {"podCIDR": "10.244.7.0/24", "podCIDRs": ["10.244.7.0/24"]}}
        await self.client.patch(NODE, NODE_NAME, cidr, patch_type=PatchType.MERGE)
        await self.until(is_ready)

    async def pod(self, name: str) -> Object:
        return await self.client.get(POD, name, "default")

    async def phase(self, name: str, phase: str, timeout_s: float = 60) -> Object:
        async def reached() -> bool:
            return ((await self.pod(name)).get("status") or {}).get("phase") == phase

        try:
            await self.until(reached, timeout_s)
        except AssertionError:
            raise AssertionError(f"{name} is not {phase}: {(await self.pod(name)).get('status')}") from None
        return await self.pod(name)

    async def run_pod(self, name: str, script: str = "sleep 1000", **spec: object) -> Object:
        container = {"name": "main", "image": IMAGE, "command": ["/bin/sh", "-c", script]}
        return await self.client.create(POD, pod_object(name, container, **spec))

    async def gone(self, name: str, timeout_s: float = 60) -> None:
        async def is_gone() -> bool:
            try:
                await self.pod(name)
            except NotFound:
                return True
            return False

        await self.until(is_gone, timeout_s)


def unchunked(body: bytes) -> bytes:
    content = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        content, body = content + rest[:length], rest[length + 2 :]
    return content


def pod_object(name: str, *containers: Object, **spec: object) -> Object:
    whole = {"nodeName": NODE_NAME, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**whole, "containers": list(containers), **spec},
    }


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="kubelet-e2e-", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.asynccontextmanager
async def one_node() -> AsyncIterator[Node]:
    with _directory() as directory:
        archive = busybox_archive()
        async with ControlPlane(SystemClock()) as plane:
            node = Node(plane, directory)
            await node.start()
            try:
                await node.ready()
                await import_archive(node.containerd.socket, archive)
                yield node
            finally:
                runtime = node.kubelet.runtime
                await node.stop()
                await purge_node(node.containerd, node.config.cgroup, node.clock, runtime, (node.config.root_dir,))
