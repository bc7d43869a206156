"""Services and EndpointSlices in, nftables rules out. Pure: equal input gives equal text.

A Service port becomes up to four chains:
    svc-  to any endpoint        loc-  to one on this node
    ext-  what comes from outside (external addresses, node ports), by the external traffic policy
    ep-   one endpoint; only with session affinity, which must remember who was sent where
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kajitori.api.meta import Object, key_of, labels_of
from kajitori.network.proxy.endpoints import Backends, Endpoint, NodeView, backends
from kajitori.network.proxy.ruleset import Ruleset, difference, merge
from kajitori.network.proxy.table import (
    DEAD_IPS,
    DEAD_PORTS,
    HAIRPIN,
    MARK_FOR_MASQUERADE,
    NODE_PORTS,
    REFUSE,
    SERVICE_IPS,
    TABLE,
    TableConfig,
    skeleton,
)
from kajitori.network.service_slices import slices_by_service

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
DEFAULT_AFFINITY_S = 10800

Destination = tuple[str, int]
Sender = tuple[str, int]

_NAME_LENGTH_MAX = 100
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9/._-]")


@dataclass(frozen=True, slots=True)
class RuleConfig:
    node: NodeView
    table: TableConfig = field(default_factory=TableConfig)


@dataclass(frozen=True, slots=True)
class _Port:
    """A port of a Service, with all that its rules need."""

    name: str
    protocol: str
    number: int
    node_port: int
    backends: Backends
    affinity_s: int

    def chain(self, prefix: str) -> str:
        return f"{prefix}-{self.name}"


def compile_rules(services: Iterable[Object], slices: Iterable[Object], config: RuleConfig) -> str:
    """The whole table as one nftables transaction."""
    by_service = slices_by_service(slices)
    ordered = sorted(services, key=key_of)
    rules = merge(compile_service(service, by_service.get(key_of(service), ()), config) for service in ordered)
    return skeleton(config.table) + difference(TABLE, Ruleset(), rules)


def udp_endpoints(
    service: Object, slices: Iterable[Object], config: RuleConfig
) -> dict[Destination, frozenset[Sender]]:
    """Who may answer for each UDP destination: every address with the port, and "" with a node port."""
    addresses = cluster_ips(service)
    if not addresses:
        return {}
    spec, slices = service["spec"], list(slices)
    found: dict[Destination, frozenset[Sender]] = {}
    for port in spec.get("ports") or ():
        if port.get("protocol") != "UDP":
            continue
        compiled = _port_of(service, port, slices, config)
        endpoints = frozenset((e.ip, e.port) for e in (*compiled.backends.everywhere, *compiled.backends.local))
        for ip in (*addresses, *(spec.get("externalIPs") or ()), *load_balancer_ips(service)):
            found[ip, compiled.number] = endpoints
        if compiled.node_port:
            found["", compiled.node_port] = endpoints
    return found


def cluster_ips(service: Object) -> list[str]:
    """IPv4 addresses inside the cluster; none for headless and ExternalName Services."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return []
    addresses = spec.get("clusterIPs") or [spec["clusterIP"]]
    return [address for address in addresses if ":" not in address]


def compile_service(service: Object, slices: Iterable[Object], config: RuleConfig) -> Ruleset:
    """The rules of one Service; an empty ruleset when it is none of ours."""
    addresses = cluster_ips(service)
    if not addresses or labels_of(service).get(PROXY_NAME_LABEL):
        return Ruleset()
    spec = service["spec"]
    slices = list(slices)
    ports = [_port_of(service, port, slices, config) for port in spec.get("ports") or ()]
    return merge(_compile_port(service, addresses, port, config.table.pod_cidr) for port in ports)


def _port_of(service: Object, port: Mapping[str, Any], slices: list[Object], config: RuleConfig) -> _Port:
    protocol = port.get("protocol") or "TCP"
    label = port.get("name") or ""
    found = backends(slices, label, protocol, config.node)
    spec = service["spec"]
    affinity_s = 0
    if spec.get("sessionAffinity") == "ClientIP":
        client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        affinity_s = client_ip.get("timeoutSeconds") or DEFAULT_AFFINITY_S
    name = chain_name(f"{key_of(service)}/{protocol.lower()}/{port['port']}")
    return _Port(name, protocol.lower(), port["port"], port.get("nodePort") or 0, found, affinity_s)


def chain_name(text: str) -> str:
    """A name nftables accepts, short enough, and unlike every other's because a digest leads it."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{digest}-{_NOT_IN_A_NAME.sub('-', text)}"[:_NAME_LENGTH_MAX]


def _compile_port(service: Object, addresses: list[str], port: _Port, pod_cidr: str) -> Ruleset:
    spec = service["spec"]
    internal_local = spec.get("internalTrafficPolicy") == "Local"
    external_local = spec.get("externalTrafficPolicy") == "Local"
    outside = [ip for ip in spec.get("externalIPs") or () if ":" not in ip]
    balancers = load_balancer_ips(service)
    reachable = port.backends.everywhere or port.backends.local
    if not reachable:
        return _refusing(port, [*addresses, *outside, *balancers])

    chains = dict(_balance(port, "svc", port.backends.everywhere))
    if (internal_local or external_local) and port.backends.local:
        chains.update(_balance(port, "loc", port.backends.local))
    inside = port.chain("svc")
    if internal_local:
        inside = port.chain("loc") if port.backends.local else ""
    live = {f"{ip} . {port.protocol} . {port.number}": f"goto {inside}" if inside else "drop" for ip in addresses}
    nodes = {}
    if outside or balancers or port.node_port:
        chains[port.chain("ext")] = _external(port, external_local, pod_cidr)
        for ip in outside:
            live.setdefault(f"{ip} . {port.protocol} . {port.number}", f"goto {port.chain('ext')}")
        for ip in balancers:
            entry, extra = _balancer_entry(port, spec)
            chains.update(extra)
            live.setdefault(f"{ip} . {port.protocol} . {port.number}", f"goto {entry}")
        if port.node_port:
            nodes[f"{port.protocol} . {port.node_port}"] = f"goto {port.chain('ext')}"
    affinity = {name.replace("ep-", "aff-", 1) for name in chains if name.startswith("ep-")}
    hairpin = frozenset(f"{e.ip} . {e.ip}" for e in (*port.backends.everywhere, *port.backends.local))
    return Ruleset(chains, {SERVICE_IPS: live, NODE_PORTS: nodes}, {HAIRPIN: hairpin}, frozenset(affinity))


def load_balancer_ips(service: Object) -> list[str]:
    """Addresses in status whose traffic comes to the nodes unchanged (ipMode VIP, the default)."""
    if service["spec"].get("type") != "LoadBalancer":
        return []
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [i["ip"] for i in ingress if i.get("ip") and ":" not in i["ip"] and i.get("ipMode", "VIP") == "VIP"]


def _refusing(port: _Port, addresses: Iterable[str]) -> Ruleset:
    dead = {f"{ip} . {port.protocol} . {port.number}": f"goto {REFUSE}" for ip in addresses}
    ports = {f"{port.protocol} . {port.node_port}": f"goto {REFUSE}"} if port.node_port else {}
    return Ruleset(maps={DEAD_IPS: dead, DEAD_PORTS: ports})


def _balance(port: _Port, prefix: str, endpoints: tuple[Endpoint, ...]) -> dict[str, tuple[str, ...]]:
    """Chains that send a connection to one of the endpoints, each as likely as any other."""
    chain = port.chain(prefix)
    if port.affinity_s:
        return _balance_with_affinity(port, chain, endpoints)
    if len(endpoints) == 1:
        return {chain: (f"meta l4proto {port.protocol} dnat ip to {endpoints[0].ip}:{endpoints[0].port}",)}
    choices = ", ".join(f"{index} : {e.ip} . {e.port}" for index, e in enumerate(endpoints))
    choose = f"numgen random mod {len(endpoints)} map {{ {choices} }}"
    return {chain: (f"meta l4proto {port.protocol} dnat ip to {choose}",)}


def _balance_with_affinity(port: _Port, chain: str, endpoints: tuple[Endpoint, ...]) -> dict[str, tuple[str, ...]]:
    names = [f"{port.name}_{e.ip}/{e.port}" for e in endpoints]
    returning = [f"ip saddr @aff-{name} goto ep-{name}" for name in names]
    choices = ", ".join(f"{index} : goto ep-{name}" for index, name in enumerate(names))
    chains = {chain: (*returning, f"numgen random mod {len(names)} vmap {{ {choices} }}")}
    for name, endpoint in zip(names, endpoints, strict=True):
        remember = f"update @aff-{name} {{ ip saddr timeout {port.affinity_s}s }}"
        send = f"meta l4proto {port.protocol} dnat ip to {endpoint.ip}:{endpoint.port}"
        chains[f"ep-{name}"] = (remember, send)
    return chains


def _external(port: _Port, local: bool, pod_cidr: str) -> tuple[str, ...]:
    """Under Local the client's address is kept; pods and this machine itself may still go to every endpoint."""
    everywhere = f"goto {port.chain('svc')}" if port.backends.everywhere else "drop"
    if not local:
        return MARK_FOR_MASQUERADE, everywhere
    return (
        f"ip saddr {pod_cidr} {everywhere}",
        f"fib saddr type local {MARK_FOR_MASQUERADE}",
        f"fib saddr type local {everywhere}",
        f"goto {port.chain('loc')}" if port.backends.local else "drop",
    )


def _balancer_entry(port: _Port, spec: Mapping[str, Any]) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The chain for load balancer addresses: with a filter in front when the Service limits who may come."""
    ranges = sorted({cidr.strip() for cidr in spec.get("loadBalancerSourceRanges") or () if ":" not in cidr})
    if not ranges:
        return port.chain("ext"), {}
    chain = port.chain("lb")
    return chain, {chain: (f"ip saddr != {{ {', '.join(ranges)} }} drop", f"goto {port.chain('ext')}")}
