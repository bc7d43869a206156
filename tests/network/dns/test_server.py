import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, ObjectKey
from kajitori.api.resource import Resource
from kajitori.kit.clock import SystemClock, VirtualClock
from kajitori.network.dns.server import DnsServer, DnsServerConfig
from kajitori.network.dns.service import dns_slice, ensure_slice
from kajitori.network.dns.upstream import Unreachable, Upstream, UpstreamConfig, read_resolvers
from kajitori.network.errors import AddressTaken


class FixedInformer:
    """One informer of everything: no indexes, objects by key."""

    def __init__(self) -> None:
        self.objects: dict[ObjectKey, Object] = {}

    async def synced(self) -> None: ...

    def subscribe(self, handler: Any) -> Any:
        return lambda: None

    def add_index(self, name: str, function: Any) -> None: ...

    def by_index(self, name: str, value: str) -> list[Object]:
        return []

    def get(self, key: ObjectKey) -> Object | None:
        return self.objects.get(key)

    def list(self, namespace: str | None = None) -> list[Object]:
        return list(self.objects.values())


class FixedCache:
    def __init__(self) -> None:
        self.one = FixedInformer()

    def informer(self, resource: Resource) -> FixedInformer:
        return self.one


def server(port: int, cache: FixedCache, **config: Any) -> DnsServer:
    return DnsServer(DnsServerConfig("127.0.0.1", port, **config), cache, SystemClock())  # type: ignore[arg-type]


def free_port() -> int:
    """Free for datagrams and for connections."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port))
                return port


def test_questions_are_answered_over_both_transports_and_a_taken_port_is_named() -> None:
    async def main() -> None:
        cache, port = FixedCache(), free_port()
        key = ObjectKey("default", "web")
        spec = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}
        cache.one.objects[key] = {"metadata": {"namespace": "default", "name": "web"}, "spec": spec}
        first = server(port, cache)
        task = asyncio.create_task(first.run())
        await asyncio.wait_for(first.ready.wait(), 60)
        query = dns.message.make_query("web.default.svc.cluster.local", "A")
        for exchange in (dns.asyncquery.udp, dns.asyncquery.tcp):
            response = await exchange(query, "127.0.0.1", timeout=60, port=port)
            assert [record.to_text() for record in response.answer[0]] == ["10.96.0.7"]
        response = await dns.asyncquery.udp(dns.message.make_query("example.org", "A"), "127.0.0.1", 60, port)
        assert response.rcode() == dns.rcode.SERVFAIL
        with pytest.raises(AddressTaken, match=f"cluster DNS cannot listen on 127.0.0.1:{port}"):
            await server(port, cache).run()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not first.ready.is_set()

    asyncio.run(main())


def test_one_server_forwards_to_another() -> None:
    async def main() -> None:
        cache, ports = FixedCache(), (free_port(), free_port())
        key = ObjectKey("default", "web")
        spec = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}
        cache.one.objects[key] = {"metadata": {"namespace": "default", "name": "web"}, "spec": spec}
        behind = server(ports[0], cache)
        from kajitori.network.dns.zone import ZoneConfig

        front = server(
            ports[1],
            FixedCache(),
            zone=ZoneConfig(domain="other.local"),
            upstream=UpstreamConfig(servers=(("127.0.0.1", ports[0]),)),
        )
        tasks = [asyncio.create_task(s.run()) for s in (behind, front)]
        for each in (behind, front):
            await asyncio.wait_for(each.ready.wait(), 60)
        query = dns.message.make_query("web.default.svc.cluster.local", "A")
        for exchange in (dns.asyncquery.udp, dns.asyncquery.tcp):
            response = await exchange(query, "127.0.0.1", timeout=60, port=ports[1])
            assert [record.to_text() for record in response.answer[0]] == ["10.96.0.7"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def test_a_silent_resolver_is_left_alone_for_a_while() -> None:
    async def main() -> None:
        clock = VirtualClock()
        silent, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        address = silent.get_extra_info("sockname")
        upstream = Upstream(UpstreamConfig(servers=(address,), timeout_s=2, rest_s=3), clock)
        query = dns.message.make_query("example.org", "A").to_wire()
        asking = asyncio.create_task(upstream.ask(query))
        await clock.advance(2.1)
        with pytest.raises(Unreachable):
            await asking
        with pytest.raises(Unreachable):
            await upstream.ask(query)
        silent.close()

    asyncio.run(main())


def test_the_hosts_resolvers_are_read_past_the_local_stub(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    (tmp_path / "etc/resolv.conf").write_text("# generated\nnameserver 127.0.0.53\noptions edns0\n")
    (tmp_path / "run/systemd/resolve/resolv.conf").write_text("nameserver 192.0.2.53\nnameserver 10.89.0.1\n")
    assert read_resolvers(("10.89.0.1",), tmp_path) == (("192.0.2.53", 53),)
    assert read_resolvers(root=tmp_path / "nowhere") == ()


class FixedClient:
    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.writes = 0

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        try:
            return self.objects[resource.plural, name]
        except KeyError:
            raise NotFound.of(resource.group, resource.plural, name) from None

    async def create(self, resource: Resource, obj: Object) -> Object:
        self.writes += 1
        self.objects[resource.plural, obj["metadata"]["name"]] = obj
        return obj

    async def patch(self, resource: Resource, name: str, patch: Any, namespace: str, **_: Any) -> Object:
        self.writes += 1
        return self.objects[resource.plural, name] | patch


NODE_ONE = {"metadata": {"name": "one", "uid": "u-1"}}


def test_a_node_announces_its_server_once_and_corrects_it() -> None:
    async def main() -> None:
        client = FixedClient()
        for _ in range(2):
            await ensure_slice(client, NODE_ONE, "10.89.0.1")  # type: ignore[arg-type]
        assert client.writes == 1
        assert client.objects["endpointslices", "kube-dns-one"] == dns_slice(NODE_ONE, "10.89.0.1")
        await ensure_slice(client, NODE_ONE, "10.89.0.9")  # type: ignore[arg-type]
        assert client.writes == 2
        await ensure_slice(client, {"metadata": {"name": "one", "uid": "u-2"}}, "10.89.0.9")  # type: ignore[arg-type]
        assert client.writes == 3

    asyncio.run(main())
