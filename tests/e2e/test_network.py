"""The node's network on a real kernel, in network namespaces made for the test: nothing outside them is touched."""

import asyncio
import base64
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kajitori.api.core import NODE, SECRET, SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.meta import Object
from kajitori.api.networking import INGRESS, INGRESS_CLASS
from kajitori.api.resource import Resource
from kajitori.client.cache import Cache
from kajitori.client.interface import ObjectList, WatchEvent, WatchEventType
from kajitori.kit import log
from kajitori.kit.clock import SystemClock
from kajitori.network.cni import CONFLIST, PodNetwork, PodNetworkConfig, conflist
from kajitori.network.host import prepare_host
from kajitori.network.ingress.controller import IngressConfig, IngressController
from kajitori.network.layout import ClusterNetwork
from kajitori.network.proxy.endpoints import NodeView
from kajitori.network.proxy.proxy import Proxy, ProxyConfig
from kajitori.network.proxy.rules import RuleConfig, compile_rules
from kajitori.network.removal import remove_all
from kajitori.network.routes import RouteKeeper, RouteKeeperConfig

CNI_BIN = Path("/usr/lib/cni")
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("nft") or not CNI_BIN.is_dir(), reason="needs nftables and the CNI plugins"),
]


def in_own_namespace(main: Callable[[], Awaitable[None]]) -> None:
    """Run in a child with its own network and its own /run/netns, so that a cluster of this machine is never met."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.unshare(CLONE_NEWNET | CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
            Path("/run/netns").mkdir(exist_ok=True)
            sh("mount --make-rprivate / && mount -t tmpfs tmpfs /run/netns && ip link set lo up")
            log.configure()
            asyncio.run(asyncio.wait_for(main(), 60))
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the test in its own namespace failed: its trace is above"


def sh(command: str, stdin: str = "", **environment: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command], input=stdin, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
    return done.stdout


class FixedApi:
    """An API server reduced to what informers ask of it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.watchers: dict[str, list[asyncio.Queue[WatchEvent]]] = {}
        self.revision = 0

    def put(self, resource: Resource, obj: Object) -> None:
        self.revision += 1
        meta = {"uid": obj["metadata"]["name"], **obj["metadata"]}
        meta["resourceVersion"] = str(self.revision)
        key = (resource.plural, meta.get("namespace", ""), meta["name"])
        event = WatchEventType.MODIFIED if key in self.objects else WatchEventType.ADDED
        self.objects[key] = {**obj, "metadata": meta}
        for queue in self.watchers.get(resource.plural, ()):
            queue.put_nowait(WatchEvent(event, self.objects[key]))

    async def list(self, resource: Resource, *_: Any, **__: Any) -> ObjectList:
        return ObjectList([o for key, o in self.objects.items() if key[0] == resource.plural], str(self.revision))

    async def patch(self, resource: Resource, name: str, patch: Any, namespace: str, **_: Any) -> Object:
        obj = {**self.objects[resource.plural, namespace, name], **patch}
        self.put(resource, obj)
        return obj

    async def watch(self, resource: Resource, *_: Any, **__: Any) -> AsyncIterator[WatchEvent]:
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self.watchers.setdefault(resource.plural, []).append(queue)
        while True:
            yield await queue.get()


SERVER = """
import socket, socketserver, sys, threading
name = sys.argv[1].encode()
class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        body = name + b" " + self.client_address[0].encode()
        self.wfile.write(b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(name, self.client_address)
socketserver.ThreadingTCPServer.allow_reuse_address = True
udp = socketserver.UDPServer(("", 8080), Udp)
threading.Thread(target=udp.serve_forever, daemon=True).start()
server = socketserver.ThreadingTCPServer(("", 8080), Tcp)
print("up", flush=True)
server.serve_forever()
"""


class World:
    """Two nodes; pods made by the real CNI plugins; a server in each that answers its name and who asked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.network = ClusterNetwork()
        self.api = FixedApi()
        self.pods: dict[str, str] = {}
        self.servers: list[subprocess.Popen[str]] = []

    def add_pod(self, name: str, node: int) -> str:
        netns = f"pod-{name}"
        sh(f"ip netns add {netns} && ip -n {netns} link set lo up")
        document = conflist(f"10.244.{node - 1}.0/24", self.directory / f"ipam-{node}", 1500)
        bridge = {"cniVersion": document["cniVersion"], "name": document["name"], **document["plugins"][0]}
        where = f"nsenter --net=/run/netns/kajitori-node-{node}" if node > 1 else ""
        result = sh(
            f"{where} {CNI_BIN}/bridge",
            stdin=json.dumps(bridge),
            CNI_COMMAND="ADD",
            CNI_CONTAINERID=name,
            CNI_NETNS=f"/run/netns/{netns}",
            CNI_IFNAME="eth0",
            CNI_PATH=str(CNI_BIN),
        )
        self.pods[name] = json.loads(result)["ips"][0]["address"].split("/")[0]
        command = ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c", SERVER, name]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        assert server.stdout.readline() == "up\n"
        self.servers.append(server)
        return self.pods[name]

    def add_service(self, name: str, ip: str, *pods: str, protocol: str = "TCP", **spec: Any) -> None:
        ports = [{"port": 80, "protocol": protocol, "targetPort": 8080, **spec.pop("port", {})}]
        self.api.put(
            SERVICE,
            {
                "metadata": {"namespace": "default", "name": name},
                "spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": ports, **spec},
            },
        )
        self.set_endpoints(name, *pods, protocol=protocol)

    def set_endpoints(self, name: str, *pods: str, protocol: str = "TCP") -> None:
        endpoints = [
            {"addresses": [self.pods[p]], "nodeName": "two" if self.pods[p].startswith("10.244.1.") else "one"}
            for p in pods
        ]
        self.api.put(
            ENDPOINT_SLICE,
            {
                "metadata": {"namespace": "default", "name": name, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [{"port": 8080, "protocol": protocol}],
                "endpoints": endpoints,
            },
        )

    def rules(self, node: str) -> str:
        objects = self.api.objects.items()
        services = [o for key, o in objects if key[0] == SERVICE.plural]
        slices = [o for key, o in objects if key[0] == ENDPOINT_SLICE.plural]
        return compile_rules(services, slices, RuleConfig(NodeView(node)))

    @staticmethod
    def ask(target: str, netns: str = "") -> str:
        """What the server behind a target answers, asked from a namespace; "" and the code of curl when it fails."""
        where = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
        done = subprocess.run([*where, "curl", "-s", "-m", "3", f"http://{target}/"], capture_output=True, text=True)
        return done.stdout or f"curl {done.returncode}"

    async def answers(self, target: str, netns: str = "", times: int = 12) -> set[str]:
        found = set()
        for _ in range(times):
            found.add((await asyncio.to_thread(self.ask, target, netns)).split(" ")[0])
        return found


@contextmanager
def world(directory: Path) -> Iterator[World]:
    made = World(directory)
    try:
        yield made
    finally:
        for server in made.servers:
            server.kill()
            server.wait()


async def eventually(condition: Callable[[], bool], what: str, timeout_s: float = 5) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)


def test_services_work_from_pods_hosts_and_other_nodes(tmp_path: Path) -> None:
    async def main() -> None:
        with world(tmp_path) as w:
            await prepare_host(w.network, 2)
            for number, name in ((1, "one"), (2, "two")):
                address = {"type": "InternalIP", "address": w.network.node_ip(number)}
                cidr = f"10.244.{number - 1}.0/24"
                node = {"metadata": {"name": name}, "spec": {"podCIDR": cidr}, "status": {"addresses": [address]}}
                w.api.put(NODE, node)
            await settle_second_node(w)
            clock = SystemClock()
            cache = Cache(w.api, clock)  # type: ignore[arg-type]
            pod_network = PodNetwork(PodNetworkConfig("one", tmp_path / "net.d", tmp_path / "ipam"), cache, clock)
            routes = RouteKeeper(RouteKeeperConfig("one"), cache, clock)
            proxy = Proxy(ProxyConfig(RuleConfig(NodeView("one"))), cache, clock)
            tasks = [asyncio.create_task(part.run()) for part in (cache, pod_network, routes, proxy)]
            await eventually((tmp_path / "net.d" / CONFLIST).exists, "the conflist")
            await asyncio.wait_for(proxy.synced.wait(), 5)
            for name, number in (("a", 1), ("b", 1), ("c", 2)):
                w.add_pod(name, number)
            await check_reach(w)
            await check_policies(w)
            await check_udp(w)
            tasks = await check_restart(w, tasks, clock)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert "10.96.0.20 . tcp . 80" in sh("nft list table ip kajitori-proxy"), "rules outlive the agent"
        await check_removal(w)

    in_own_namespace(main)


async def settle_second_node(w: World) -> None:
    """What the second node's own process would do, from outside."""
    inside = "ip netns exec kajitori-node-2"
    sh(f"{inside} sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1")
    sh(f"{inside} ip route add 10.244.0.0/24 via 10.89.0.1")
    sh(f"{inside} ip link add cni-kajitori type bridge nf_call_iptables 1")


async def check_reach(w: World) -> None:
    w.add_service("web", "10.96.0.20", "a", "b", "c", type="NodePort", port={"nodePort": 30080})
    w.add_service("self", "10.96.0.21", "a")
    w.add_service("none", "10.96.0.22")
    sh("ip netns exec kajitori-node-2 nft -f -", stdin=w.rules("two"))
    await eventually(lambda: "10.96.0.22" in sh("nft list table ip kajitori-proxy"), "rules of three Services")
    everyone = {"a", "b", "c"}
    assert await w.answers("10.96.0.20", "pod-a", 30) == everyone, "from a pod, itself among the endpoints"
    assert await w.answers("10.96.0.20", "pod-c", 30) == everyone, "from a pod of the other node"
    assert await w.answers("10.96.0.20", times=30) == everyone, "from the host"
    assert await w.answers("10.96.0.20", "kajitori-node-2", 30) == everyone, "from the other node"
    assert await w.answers("10.96.0.21", "pod-a", 3) == {"a"}, "a pod reaches itself through its Service"
    assert await w.answers("127.0.0.1:30080", times=30) == everyone, "node port on loopback"
    assert await w.answers("10.89.0.1:30080", "kajitori-node-2", 30) == everyone, "node port from another node"
    assert await w.answers("10.89.0.2:30080", times=30) == everyone, "node port of the other node"
    client = w.ask("10.96.0.21", "pod-b").split(" ")[1]
    assert client == w.pods["b"], "a pod's address is kept inside the cluster"
    began_s = time.monotonic()
    for netns in ("", "pod-b", "kajitori-node-2"):
        assert w.ask("10.96.0.22", netns) == "curl 7", "a Service without endpoints refuses"
        assert w.ask("10.96.77.77", netns) == "curl 7", "an address of no Service refuses"
    assert time.monotonic() - began_s < 2, "refusal must be at once"


async def check_policies(w: World) -> None:
    w.add_service("sticky", "10.96.0.30", "a", "b", "c", sessionAffinity="ClientIP")
    w.add_service("near", "10.96.0.31", "a", "c", internalTrafficPolicy="Local")
    w.add_service(
        "outer", "10.96.0.32", "b", "c", type="NodePort", externalTrafficPolicy="Local", port={"nodePort": 30081}
    )
    w.add_service("external", "10.96.0.33", "b", externalIPs=["203.0.113.9"])
    await eventually(lambda: "203.0.113.9" in sh("nft list table ip kajitori-proxy"), "rules of the policies")
    assert len(await w.answers("10.96.0.30", "pod-b", 10)) == 1, "a client stays with its endpoint"
    assert await w.answers("10.96.0.31", "pod-b", 10) == {"a"}, "only this node's endpoint"
    assert await asyncio.to_thread(w.ask, "10.89.0.1:30081", "kajitori-node-2") == "b 10.89.0.2", "address kept"
    assert await w.answers("203.0.113.9", "pod-a", 2) == {"b"}, "external address"


async def check_udp(w: World) -> None:
    w.add_service("dns", "10.96.0.40", "a", protocol="UDP")
    await eventually(lambda: "10.96.0.40 . udp . 80" in sh("nft list table ip kajitori-proxy"), "the UDP Service")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect(("10.96.0.40", 80))
        client.send(b"who")
        assert client.recv(100) == b"a"
        w.set_endpoints("dns", "b", protocol="UDP")

        def answers_b() -> bool:
            try:
                client.send(b"who")
                return client.recv(100) == b"b"
            except OSError:
                return False

        await eventually(answers_b, "one client's flow moves to the endpoint that is left")


async def check_restart(w: World, tasks: list[asyncio.Task[None]], clock: SystemClock) -> list[asyncio.Task[None]]:
    """A new process builds on the rules it finds: clients stay where they were, and what changed is mended."""
    before = await w.answers("10.96.0.30", "pod-b", 3)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await w.answers("10.96.0.21", "pod-b", 2) == {"a"}, "traffic flows without the agent"
    w.set_endpoints("self", "b")
    cache = Cache(w.api, clock)  # type: ignore[arg-type]
    proxy = Proxy(ProxyConfig(RuleConfig(NodeView("one"))), cache, clock)
    tasks = [asyncio.create_task(part.run()) for part in (cache, proxy)]
    await asyncio.wait_for(proxy.synced.wait(), 5)
    assert await w.answers("10.96.0.21", "pod-a", 3) == {"b"}
    assert await w.answers("10.96.0.30", "pod-b", 6) == before
    return tasks


async def check_removal(w: World) -> None:
    await remove_all(w.network)
    await remove_all(w.network)
    assert "kajitori" not in sh("ip link show; ip netns; nft list ruleset; ip route")


BACKEND = """
import asyncio, signal, sys
name, address = sys.argv[1].encode(), sys.argv[2]
busy = set()
async def serve(reader, writer):
    # Keeps connections alive, and on SIGTERM finishes what it has begun, as a well-behaved server does.
    me = asyncio.current_task(); busy.discard(me); idle.add(writer)
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            idle.discard(writer)
            if b"upgrade: websocket" in head.lower():
                writer.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n")
                writer.write(b"Connection: Upgrade\\r\\n\\r\\n")
                while data := await reader.read(100): writer.write(name + b":" + data)
                return
            for line in head.lower().split(b"\\r\\n"):
                if line.startswith(b"content-length:"): await reader.readexactly(int(line.split(b":")[1]))
            await asyncio.sleep(0.005)
            body = name if b"/headers" not in head else head
            last = b"Connection: close\\r\\n" if stopping else b""
            writer.write(b"HTTP/1.1 200 OK\\r\\n" + last + b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
            await writer.drain()
            if stopping: return
            idle.add(writer)
    except (asyncio.IncompleteReadError, ConnectionError): pass
    finally: idle.discard(writer); writer.close()
idle, stopping = set(), False
async def main():
    global stopping
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    server = await asyncio.start_server(serve, address, 8080)
    print("up", flush=True)
    await done.wait()
    stopping = True
    server.close()
    for writer in list(idle): writer.close()
    await asyncio.sleep(0.2)
asyncio.run(main())
"""


class Backends:
    """Servers on loopback addresses, behind one Service with an Ingress."""

    def __init__(self) -> None:
        self.api = FixedApi()
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, address: str) -> None:
        process = subprocess.Popen([sys.executable, "-c", BACKEND, name, address], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        self.running[address] = process

    def stop(self, address: str) -> None:
        process = self.running.pop(address)
        process.terminate()
        process.wait()

    def publish(self) -> None:
        """Ready endpoints are the servers that run."""
        meta = {"namespace": "shop", "name": "web", "labels": {"kubernetes.io/service-name": "web"}}
        endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in sorted(self.running)]
        ports = [{"name": "http", "port": 8080}]
        document = {"metadata": meta, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}
        self.api.put(ENDPOINT_SLICE, document)

    def declare(self) -> None:
        self.api.put(INGRESS_CLASS, {"metadata": {"name": "kajitori"}, "spec": {"controller": "kajitori.io/ingress"}})
        self.api.put(
            SERVICE,
            {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}]}},
        )
        self.publish()
        self.add_ingress("web", "shop.test", tls=[{"hosts": ["shop.test"], "secretName": "cert"}])

    def add_ingress(self, name: str, host: str, **spec: Any) -> None:
        path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
        rules = [{"host": host, "http": {"paths": [path]}}]
        document = {
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"ingressClassName": "kajitori", "rules": rules, **spec},
        }
        self.api.put(INGRESS, document)


class Load:
    """Clients with connections of their own that ask without pause; every answer but 200 is remembered."""

    def __init__(self) -> None:
        self.served: dict[str, int] = {}
        self.failures: list[str] = []
        self._stopping = False

    async def client(self, method: str) -> None:
        request = f"{method} / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 2\r\n\r\nhi".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        while not self._stopping:
            try:
                writer.write(request)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
                length = int(
                    next(x.split(":")[1] for x in head.lower().split("\r\n") if x.startswith("content-length"))
                )
                body = (await reader.readexactly(length)).decode()
            except (OSError, EOFError, TimeoutError) as error:
                self.failures.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", 80)
                continue
            if " 200 " in head:
                self.served[body] = self.served.get(body, 0) + 1
            else:
                self.failures.append(head.split("\r\n")[0] + " " + body)
        writer.close()

    async def during(self, change: Awaitable[None]) -> None:
        self._stopping = False
        clients = [asyncio.create_task(self.client(method)) for method in ("GET", "POST") * 4]
        await change
        self._stopping = True
        await asyncio.gather(*clients)


def test_ingress_serves_through_every_change_without_losing_a_request(tmp_path: Path) -> None:
    async def main() -> None:
        backends, clock = Backends(), SystemClock()
        for name, address in (("a", "127.0.1.1"), ("b", "127.0.1.2")):
            backends.start(name, address)
        backends.declare()
        put_certificate(backends.api, "cert", "shop.test")
        config = IngressConfig(tmp_path / "envoy", status_addresses=("10.89.0.1",), settle_s=0.3)
        controller, tasks = start_controller(config, backends.api, clock)
        try:
            await until_ready(controller, tasks)
            await check_requests(backends)
            await check_rolling_update(backends)
            await check_hosts_come_and_go(backends)
            await check_websocket(backends)
            first = controller.envoy.pid
            await cancel(tasks)
            assert fetch("http://shop.test/") in ("c", "d"), "Envoy serves without the agent"
            controller, tasks = start_controller(config, backends.api, clock)
            await until_ready(controller, tasks)
            assert controller.envoy.pid == first, "a new agent adopts the Envoy that runs"
            os.kill(first, 9)
            await eventually(lambda: controller.envoy.pid != first and controller.ready.is_set(), "a new Envoy", 20)
            assert fetch("http://shop.test/") in ("c", "d")
        finally:
            await cancel(tasks)
            await controller.envoy.stop()
            for address in list(backends.running):
                backends.stop(address)

    in_own_namespace(main)


def start_controller(
    config: IngressConfig, api: FixedApi, clock: SystemClock
) -> tuple[IngressController, list[asyncio.Task[None]]]:
    cache = Cache(api, clock)  # type: ignore[arg-type]
    controller = IngressController(config, api, cache, clock)  # type: ignore[arg-type]
    return controller, [asyncio.create_task(part.run()) for part in (cache, controller)]


async def until_ready(controller: IngressController, tasks: list[asyncio.Task[None]]) -> None:
    """Wait, but not for a controller that has failed."""
    waiting = asyncio.create_task(controller.ready.wait())
    await asyncio.wait([waiting, *tasks], timeout=20, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in tasks:
        if task.done():
            task.result()
    assert controller.ready.is_set(), f"not ready; Envoy says: {controller.envoy.log_tail()}"


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def fetch(url: str, *options: str) -> str:
    to_here = ["--connect-to", "::127.0.0.1:"]
    return subprocess.run(["curl", "-sk", "-m", "5", *to_here, *options, url], capture_output=True, text=True).stdout


def put_certificate(api: FixedApi, name: str, host: str) -> None:
    sh(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -keyout /run/netns/key -out /run/netns/crt -subj /CN={host} 2>/dev/null"
    )
    pair = {"tls.crt": "crt", "tls.key": "key"}
    data = {key: base64.b64encode(Path(f"/run/netns/{file}").read_bytes()).decode() for key, file in pair.items()}
    for file in pair.values():
        Path(f"/run/netns/{file}").unlink()
    meta = {"namespace": "shop", "name": name}
    api.put(SECRET, {"metadata": meta, "type": "kubernetes.io/tls", "data": data})


async def check_requests(backends: Backends) -> None:
    assert {fetch("http://shop.test/") for _ in range(8)} == {"a", "b"}
    assert {fetch("https://shop.test/") for _ in range(8)} == {"a", "b"}
    assert "CN = shop.test" in certificate_subject("shop.test")
    assert "no certificate for this name" in certificate_subject("other.test")
    assert fetch("http://other.test/") == "404: no Ingress has a rule for this host and path\n"
    seen = fetch("https://shop.test/headers").lower()
    for header in (
        "host: shop.test",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.test",
        "x-forwarded-for: 127",
    ):
        assert header in seen, seen
    status = backends.api.objects[INGRESS.plural, "shop", "web"]["status"]
    assert status == {"loadBalancer": {"ingress": [{"ip": "10.89.0.1"}]}}


def certificate_subject(host: str) -> str:
    connect = f"openssl s_client -connect 127.0.0.1:443 -servername {host} </dev/null 2>/dev/null"
    return sh(f"{connect} | openssl x509 -noout -subject")


async def check_rolling_update(backends: Backends) -> None:
    """Each server is replaced: a new one is published, the old one unpublished and told to end at the same moment."""

    async def replace_all() -> None:
        for old, new, name in (("127.0.1.1", "127.0.1.3", "c"), ("127.0.1.2", "127.0.1.4", "d")):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(backends.start, name, new)
            backends.publish()
            await asyncio.sleep(0.3)
            leaving = backends.running[old]
            leaving.terminate()
            del backends.running[old]
            backends.publish()
            await asyncio.to_thread(leaving.wait)
        await asyncio.sleep(0.5)

    load = Load()
    await load.during(replace_all())
    assert load.failures == []
    assert load.served.keys() == {"a", "b", "c", "d"}
    assert sum(load.served.values()) > 200


async def check_hosts_come_and_go(backends: Backends) -> None:
    async def change() -> None:
        backends.add_ingress("more", "more.test", tls=[{"hosts": ["more.test"], "secretName": "more"}])
        put_certificate(backends.api, "more", "more.test")
        await eventually(lambda: fetch("http://more.test/") in ("c", "d"), "a new host")
        await eventually(lambda: "more.test" in certificate_subject("more.test"), "its certificate")
        backends.add_ingress("more", "less.test")
        await eventually(lambda: fetch("http://more.test/").startswith("404"), "the host is gone")

    load = Load()
    await load.during(change())
    assert load.failures == [], "a change of one Ingress is not felt by another"


async def check_websocket(backends: Backends) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    writer.write(b"GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    backends.add_ingress("late", "late.test")
    await eventually(lambda: fetch("http://late.test/") in ("c", "d"), "a change while a WebSocket is open")
    writer.write(b"hello")
    assert (await asyncio.wait_for(reader.read(100), 5)).endswith(b":hello"), "a change drops no WebSocket"
    writer.close()
