"""The node's network on a real kernel, in network namespaces made for the test: nothing outside them is touched."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixed_api import FixedApi, eventually, sh
from one_node import in_own_namespaces

from kajitori.api.core import NODE, SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.client.cache import Cache
from kajitori.kit.clock import SystemClock
from kajitori.network.cni import CONFLIST, PodNetwork, PodNetworkConfig, conflist
from kajitori.network.host import prepare_host
from kajitori.network.layout import ClusterNetwork
from kajitori.network.proxy.endpoints import NodeView
from kajitori.network.proxy.proxy import Proxy, ProxyConfig
from kajitori.network.proxy.rules import RuleConfig, compile_rules
from kajitori.network.removal import remove_all
from kajitori.network.routes import RouteKeeper, RouteKeeperConfig

CNI_BIN = Path("/usr/lib/cni")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("nft") or not CNI_BIN.is_dir(), reason="needs nftables and the CNI plugins"),
]


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
        done = subprocess.run([*where, "curl", "-s", "-m", "15", f"http://{target}/"], capture_output=True, text=True)
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
            await check_silence_of_a_dead_name_server()
            await check_host_port(w)
            tasks = await check_restart(w, tasks, clock)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert "10.96.0.20 . tcp . 80" in sh("nft list table ip kajitori-proxy"), "rules outlive the agent"
        await check_removal(w)

    in_own_namespaces(main)


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
    for netns in ("", "pod-b", "kajitori-node-2"):
        assert w.ask("10.96.0.22", netns) == "curl 7", "a Service without endpoints refuses"
        assert w.ask("10.96.77.77", netns) == "curl 7", "an address of no Service refuses"


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
        client.settimeout(30)
        client.connect(("10.96.0.40", 80))
        client.send(b"who")
        assert client.recv(100) == b"a"
        client.settimeout(0.5)
        w.set_endpoints("dns", "b", protocol="UDP")

        def answers_b() -> bool:
            try:
                client.send(b"who")
                return client.recv(100) == b"b"
            except OSError:
                return False

        await eventually(answers_b, "one client's flow moves to the endpoint that is left")


async def check_silence_of_a_dead_name_server() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        for port, expected in ((53, TimeoutError), (54, ConnectionRefusedError)):
            client.connect(("10.89.0.1", port))
            client.send(b"anyone?")
            with pytest.raises(expected):
                client.recv(100)


async def check_host_port(w: World) -> None:
    """The second plugin of the conflist, as the runtime calls it."""
    document = conflist("10.244.0.0/24", w.directory / "ipam-1", 1500)
    mappings = [{"hostPort": 18080, "containerPort": 8080, "protocol": "tcp"}]
    portmap = {
        "cniVersion": document["cniVersion"],
        "name": document["name"],
        **document["plugins"][1],
        "runtimeConfig": {"portMappings": mappings},
        "prevResult": {"cniVersion": document["cniVersion"], "ips": [{"address": f"{w.pods['b']}/24", "interface": 0}]}
        | {"interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod-b"}]},
    }
    environment = {
        "CNI_CONTAINERID": "b",
        "CNI_NETNS": "/run/netns/pod-b",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(CNI_BIN),
    }
    sh(f"{CNI_BIN}/portmap", stdin=json.dumps(portmap), CNI_COMMAND="ADD", **environment)
    for target, netns in (
        ("127.0.0.1", ""),
        ("10.89.0.1", ""),
        ("10.89.0.1", "kajitori-node-2"),
        ("10.89.0.1", "pod-b"),
    ):
        assert await w.answers(f"{target}:18080", netns, 2) == {"b"}, (
            f"host port of {target} from {netns or 'the host'}"
        )
    sh(f"{CNI_BIN}/portmap", stdin=json.dumps(portmap), CNI_COMMAND="DEL", **environment)
    assert "CNI-HOSTPORT" in sh("nft list ruleset"), "the plugin leaves chains, which only a purge removes"


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
    left = sh("ip link show; ip netns; nft list ruleset; ip route")
    assert "kajitori" not in left
    assert "CNI" not in left
