"""One node as a process: kubelet, Services, routes, DNS, and on the first node the Ingress."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from kajitori.api.core import NODE
from kajitori.api.meta import Object, condition_of
from kajitori.api.times import parse_timestamp
from kajitori.app.access import client_of
from kajitori.app.failure import leaves
from kajitori.app.layout import Layout
from kajitori.app.node_parts import ingress_config, kubelet_config, pod_network_config
from kajitori.app.notify import notify_ready
from kajitori.app.prepare import DNS, INGRESS, PROXY
from kajitori.app.record import ClusterRecord, node_address, node_number, require_record
from kajitori.app.running import run_until
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.client.cache import Cache
from kajitori.client.http import HttpClient
from kajitori.client.interface import WatchEventType
from kajitori.kit.clock import Clock, SystemClock
from kajitori.kubelet.containerd import ContainerdError
from kajitori.kubelet.kubelet import Kubelet
from kajitori.network.cni import PodNetwork
from kajitori.network.dns.server import DnsServer, DnsServerConfig
from kajitori.network.dns.service import Announcer
from kajitori.network.dns.upstream import UpstreamConfig, read_resolvers
from kajitori.network.errors import NetworkError
from kajitori.network.ingress.controller import IngressController
from kajitori.network.layout import netns_of
from kajitori.network.netns import enter_netns
from kajitori.network.proxy.endpoints import NodeView
from kajitori.network.proxy.proxy import Proxy, ProxyConfig
from kajitori.network.proxy.rules import RuleConfig
from kajitori.network.routes import RouteKeeper, RouteKeeperConfig


def enter(options: PartOptions) -> None:
    """Move into the node's network namespace; must come before threads and the event loop."""
    if not options.node:
        raise CommandError("node: which one? Give --node NAME")
    try:
        enter_netns(netns_of(node_number(options.node)))
    except (NetworkError, ValueError) as error:
        raise CommandError(f"node {options.node}: {error}") from error


async def run_node(options: PartOptions, stopping: asyncio.Event) -> None:
    """Containers, rules and Envoy outlive this; the next run takes them over."""
    layout = Layout(options.data_dir)
    node = _Node(options, layout, require_record(layout), SystemClock())
    try:
        await run_until(stopping, *node.services())
    except* (ContainerdError, NetworkError) as failures:
        raise CommandError(f"node {options.node}: {'; '.join(map(str, leaves(failures)))}") from failures


class _Node:
    """Wires the parts of one node, each under its own identity."""

    def __init__(self, options: PartOptions, layout: Layout, record: ClusterRecord, clock: Clock) -> None:
        self._name = options.node
        self._options = options
        self._layout = layout
        self._record = record
        self._clock = clock
        self._waited: list[Coroutine[Any, Any, Any]] = []

    def services(self) -> list[Coroutine[Any, Any, None]]:
        """Everything to run side by side."""
        cache = Cache(self._client(self._name), self._clock)
        kubelet = Kubelet(kubelet_config(self._layout, self._name), self._client(self._name), cache, self._clock)
        self._waited.append(_node_ready(cache, self._name, self._clock.now()))
        services = [cache.run(), kubelet.run(), *self._network()]
        if "ingress" not in self._options.disable and node_number(self._name) == 1:
            services += self._ingress()
        return [*services, self._notify()]

    def _client(self, identity: str) -> HttpClient:
        return client_of(self._options, identity, self._clock)

    def _network(self) -> list[Coroutine[Any, Any, None]]:
        """The proxy, routes, the pod network and the name server share one cache: all of them read the same kinds."""
        cache, clock = Cache(self._client(PROXY), self._clock), self._clock
        pods = PodNetwork(pod_network_config(self._layout, self._name), cache, clock)
        routes = RouteKeeper(RouteKeeperConfig(self._name), cache, clock)
        services = [pods.run(), routes.run()]
        if "proxy" not in self._options.disable:
            proxy = Proxy(ProxyConfig(RuleConfig(NodeView(self._name))), cache, clock)
            self._waited.append(proxy.synced.wait())
            services.append(proxy.run())
        if "dns" not in self._options.disable:
            address = node_address(self._name)
            upstream = UpstreamConfig(servers=read_resolvers(own=(address,)))
            server = DnsServer(DnsServerConfig(address, upstream=upstream), cache, clock)
            announcer = Announcer(self._client(DNS), cache.informer(NODE), clock, self._name, address)
            self._waited.append(announcer.announced.wait())
            services += [server.run(), _announce(server, announcer)]
        return [cache.run(), *services]

    def _ingress(self) -> list[Coroutine[Any, Any, None]]:
        client = self._client(INGRESS)
        cache = Cache(client, self._clock)
        config = ingress_config(self._layout, self._record, self._name)
        controller = IngressController(config, client, cache, self._clock)
        self._waited.append(controller.ready.wait())
        return [cache.run(), controller.run()]

    async def _notify(self) -> None:
        await asyncio.gather(*self._waited)
        notify_ready()
        await asyncio.Event().wait()


async def _announce(server: DnsServer, announcer: Announcer) -> None:
    """Let pods find this node's name server once it answers."""
    await server.ready.wait()
    await announcer.run()


async def _node_ready(cache: Cache, name: str, since_s: float) -> None:
    """Return when the node's own object says that it is Ready, by a heartbeat of this run and not of an earlier one."""
    nodes, ready = cache.informer(NODE, field_selector=f"metadata.name={name}"), asyncio.Event()

    def look(_kind: WatchEventType, node: Object, _old: Object | None) -> None:
        condition = condition_of(node, "Ready")
        if condition and condition["status"] == "True":
            heartbeat = condition.get("lastHeartbeatTime")
            if heartbeat and parse_timestamp(heartbeat) >= int(since_s):
                ready.set()

    unsubscribe = nodes.subscribe(look)
    await ready.wait()
    unsubscribe()
