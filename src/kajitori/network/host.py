"""The cluster's links on this machine: a bridge in the host, and a veth into each further node's namespace."""

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

from kajitori.network.command import ip_batch, run
from kajitori.network.errors import NetworkError
from kajitori.network.layout import ClusterNetwork, netns_of, uplink_of
from kajitori.network.netns import netns_names
from kajitori.network.sysctl import apply_sysctls

Links = Mapping[str, frozenset[str]]
"""Names of links with their addresses in CIDR form."""


async def prepare_host(network: ClusterNetwork, nodes: int = 1) -> None:
    """Make the bridge and the namespaces of nodes 2..`nodes`. What exists already is kept, so it may run again."""
    await apply_sysctls()
    links = await read_links()
    if clash := find_clash(links, network):
        raise NetworkError(clash)
    await ip_batch(plan_bridge(links, network))
    for number in range(2, nodes + 1):
        await _prepare_node(network, number, links, netns_names())


async def _prepare_node(network: ClusterNetwork, number: int, links: Links, namespaces: Iterable[str]) -> None:
    netns = netns_of(number)
    if netns not in namespaces:
        await ip_batch([f"netns add {netns}"])
    await ip_batch(plan_uplink(links, network, number))
    await ip_batch(plan_namespace(network, number), netns)


def find_clash(links: Links, network: ClusterNetwork) -> str:
    """Why the node network cannot have its addresses here; "" when it can."""
    wanted = IPv4Network(network.node_cidr)
    for link, addresses in links.items():
        for address in addresses:
            if link != network.bridge and IPv4Network(address, strict=False).overlaps(wanted):
                return (
                    f"node network {network.node_cidr} overlaps {address} of {link}; remove that address or choose"
                    " another node network"
                )
    return ""


def plan_bridge(links: Links, network: ClusterNetwork) -> list[str]:
    """`ip` commands that make the host's bridge what it should be."""
    bridge = network.bridge
    address = f"{network.gateway}/{network.node_prefix_length}"
    commands = []
    if bridge not in links:
        # An address of its own, or the bridge would take its newest port's and every neighbour would lose it.
        commands.append(
            f"link add {bridge} address {mac_of(network.gateway)} mtu {network.mtu} type bridge forward_delay 0"
        )
    if address not in links.get(bridge, ()):
        commands.append(f"address add {address} dev {bridge}")
    commands.append(f"link set {bridge} up")
    # The host reaches ClusterIPs even without a default route: a packet needs some way out before it is rewritten.
    commands.append(f"route replace {network.service_cidr} dev {bridge} src {network.gateway}")
    return commands


def plan_uplink(links: Links, network: ClusterNetwork, number: int) -> list[str]:
    """Commands in the host that connect a node's namespace with the bridge."""
    uplink = uplink_of(number)
    commands = []
    if uplink not in links:
        mac = mac_of(network.node_ip(number))
        peer = f"name eth0 address {mac} mtu {network.mtu} netns {netns_of(number)}"
        commands.append(f"link add {uplink} mtu {network.mtu} type veth peer {peer}")
    return [
        *commands,
        f"link set {uplink} master {network.bridge}",
        # A node port of the host may lead back to a pod of the node that asked: out where it came in.
        f"link set {uplink} type bridge_slave hairpin on",
        f"link set {uplink} up",
    ]


def plan_namespace(network: ClusterNetwork, number: int) -> list[str]:
    """Commands inside a node's namespace."""
    return [
        "link set lo up",
        f"address replace {network.node_ip(number)}/{network.node_prefix_length} dev eth0",
        "link set eth0 up",
        f"route replace default via {network.gateway} dev eth0",
    ]


def mac_of(address: str) -> str:
    """A locally administered hardware address made from an IPv4 address."""
    return "0a:58:" + ":".join(f"{int(part):02x}" for part in address.split("."))


async def read_links(netns: str = "") -> dict[str, frozenset[str]]:
    where = ("-n", netns) if netns else ()
    return parse_links(
        json.loads(await run("ip", *where, "-json", "-4", "address", "show") or "[]"), await _all_links(where)
    )


async def _all_links(where: tuple[str, ...]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = json.loads(await run("ip", *where, "-json", "link", "show") or "[]")
    return found


def parse_links(
    addresses: Iterable[Mapping[str, Any]], links: Iterable[Mapping[str, Any]]
) -> dict[str, frozenset[str]]:
    """What `ip -json` says, as names with IPv4 addresses."""
    found = {link["ifname"]: frozenset[str]() for link in links if "ifname" in link}
    for link in addresses:
        if "ifname" in link:
            entries = link.get("addr_info") or ()
            found[link["ifname"]] = frozenset(f"{a['local']}/{a['prefixlen']}" for a in entries if "local" in a)
    return found
