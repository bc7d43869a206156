"""Taking everything back that the network parts made on this machine, found by name, so that no record is needed."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

from kajitori.network.command import ip_batch, nft, run
from kajitori.network.errors import CommandFailed, CommandMissing
from kajitori.network.firewall import close_forwarding
from kajitori.network.host import read_links
from kajitori.network.layout import CNI_NETWORK, NETNS_PREFIX, POD_BRIDGE, TABLE_PREFIX, UPLINK_PREFIX, ClusterNetwork
from kajitori.network.netns import netns_names
from kajitori.network.routes import PROTOCOL

POD_NETNS_PREFIX = "cni-"
"""How containerd names the namespaces of its sandboxes."""
_CNI_RESULTS = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache/results"))
_HOSTPORT_CHAINS = ("CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ")


async def remove_all(network: ClusterNetwork | None = None) -> None:
    """Delete namespaces, links, routes, nftables tables and what CNI plugins left. What is gone already is no error.

    Stop the containers first: a namespace lives on, unnamed, while a process is in it.
    """
    network = network or ClusterNetwork()
    await _remove_links(network)
    await _remove_namespaces(network)
    await _remove_tables()
    await close_forwarding()
    await _remove_hostports()
    await run("ip", "-4", "route", "flush", "proto", str(PROTOCOL))
    await asyncio.to_thread(_remove_cni_results)


async def _remove_links(network: ClusterNetwork) -> None:
    try:
        await ip_batch(plan_link_removal(await read_links(), network), keep_going=True)
    except CommandFailed:
        # A veth also goes with the namespace at its other end, perhaps just now: only what is still there failed.
        if plan_link_removal(await read_links(), network):
            raise


def plan_link_removal(links: Iterable[str], network: ClusterNetwork) -> list[str]:
    def is_ours(name: str) -> bool:
        uplink = name.removeprefix(UPLINK_PREFIX)
        return name in (POD_BRIDGE, network.bridge) or (uplink != name and uplink.isdigit())

    return [f"link delete {name}" for name in sorted(links) if is_ours(name)]


async def _remove_namespaces(network: ClusterNetwork) -> None:
    pods = IPv4Network(network.pod_cidr)
    doomed = []
    for name in netns_names():
        if name.startswith(NETNS_PREFIX) or (name.startswith(POD_NETNS_PREFIX) and await _is_inside(name, pods)):
            doomed.append(f"netns delete {name}")
    await ip_batch(doomed, keep_going=True)


async def _is_inside(netns: str, pods: IPv4Network) -> bool:
    """Whether a namespace has an address of a pod."""
    with contextlib.suppress(CommandFailed):
        links = await read_links(netns)
        return any(IPv4Interface(address).ip in pods for addresses in links.values() for address in addresses)
    # A file that is no longer a namespace is the remains of one.
    return True


async def _remove_tables() -> None:
    with contextlib.suppress(CommandMissing):
        listing = json.loads(await run("nft", "-json", "list", "tables"))["nftables"]
        await nft("".join(f"delete table {family} {name}\n" for family, name in find_tables(listing)))


def find_tables(listing: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    tables = (item["table"] for item in listing if "table" in item)
    return [(table["family"], table["name"]) for table in tables if table["name"].startswith(TABLE_PREFIX)]


async def _remove_hostports() -> None:
    """The portmap plugin leaves its chains behind, and with them iptables' own table if nothing else is in it."""
    listing = json.loads(await run("nft", "-json", "-a", "list", "ruleset"))["nftables"]
    await nft("".join(plan_hostport_removal(listing)))


def plan_hostport_removal(listing: Iterable[Mapping[str, Any]]) -> list[str]:
    """nft commands, from `nft -json -a list ruleset`; none while another runtime maps ports through the chains.

    The plugin also makes, and leaves, an empty table for IPv6.
    """
    listing = list(listing)
    chains = [item["chain"] for item in listing if "chain" in item and item["chain"]["table"] == "nat"]
    rules = [item["rule"] for item in listing if "rule" in item and item["rule"]["table"] == "nat"]
    names = {c["name"] for c in chains}
    if names.isdisjoint(_HOSTPORT_CHAINS) or any(name.startswith("CNI-DN-") for name in names):
        return []
    commands = []
    tables = {item["table"]["family"] for item in listing if "table" in item and item["table"]["name"] == "nat"}
    for family in sorted(tables & {"ip", "ip6"}):
        own = ([part for part in parts if part["family"] == family] for parts in (chains, rules))
        commands += _plan_nat_removal(family, *own)
    return commands


def _plan_nat_removal(
    family: str, chains: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The table when nothing else is in it, or the plugin's chains and the jumps to them."""
    present = [c for c in chains if c["name"] in _HOSTPORT_CHAINS]
    jumps = [r for r in rules if _jump_target(r) in _HOSTPORT_CHAINS]
    others = [r for r in rules if r not in jumps and r["chain"] not in _HOSTPORT_CHAINS]
    custom = [c for c in chains if c not in present and "hook" not in c]
    if not others and not custom:
        return [f"delete table {family} nat\n"]
    return (
        [f"delete rule {family} nat {r['chain']} handle {r['handle']}\n" for r in jumps]
        + [f"flush chain {family} nat {c['name']}\n" for c in present]
        + [f"delete chain {family} nat {c['name']}\n" for c in present]
    )


def _jump_target(rule: Mapping[str, Any]) -> str:
    for expression in rule.get("expr", ()):
        if "jump" in expression:
            return str(expression["jump"]["target"])
    return ""


def _remove_cni_results() -> None:
    for directory in _CNI_RESULTS:
        for path in directory.glob(f"{CNI_NETWORK}-*"):
            path.unlink(missing_ok=True)
