"""A host firewall that drops forwarded traffic would cut pods off: find it, and let the cluster's traffic pass.

Docker and many hardened hosts set the FORWARD policy to drop. Accepting in a table of our own would not help, since a
packet must pass every table; so the rules go in front of the chain that drops, with a comment by which they are found.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kajitori.network.command import nft, run
from kajitori.network.errors import CommandFailed, CommandMissing
from kajitori.network.layout import ClusterNetwork

logger = logging.getLogger(__name__)

COMMENT = "kajitori"


@dataclass(frozen=True, slots=True)
class DroppingChain:
    family: str
    table: str
    name: str

    @property
    def is_iptables(self) -> bool:
        """Whether iptables-nft owns it, whose own tool must then change it."""
        return (self.family, self.table, self.name) == ("ip", "filter", "FORWARD")


def find_dropping(chains: Iterable[Mapping[str, Any]]) -> list[DroppingChain]:
    """Base chains at the forward hook whose policy is drop, from what `nft -json list chains` says."""
    found = (item["chain"] for item in chains if "chain" in item)
    return [
        DroppingChain(chain["family"], chain["table"], chain["name"])
        for chain in found
        if chain.get("hook") == "forward" and chain.get("policy") == "drop" and chain["family"] in ("ip", "inet")
    ]


async def open_forwarding(network: ClusterNetwork) -> None:
    """Insert what is missing. A firewall that cannot be changed is reported, not fatal: other rules may allow us."""
    listing = json.loads(await run("nft", "-json", "list", "chains"))["nftables"]
    for chain in find_dropping(listing):
        where = f"{chain.family} {chain.table} {chain.name}"
        try:
            changed = await (_open_iptables(network) if chain.is_iptables else _open_native(chain, network))
            if changed:
                logger.info("the host's firewall drops forwarded traffic (%s): let the cluster's pass", where)
        except (CommandFailed, CommandMissing) as error:
            logger.warning(
                "the host's firewall drops forwarded traffic (%s) and could not be opened: %s; allow %s and %s there",
                where,
                error,
                network.pod_cidr,
                network.node_cidr,
            )


def accept_rules(chain: DroppingChain, network: ClusterNetwork) -> str:
    """An nftables transaction for a native table."""
    cluster = f"{{ {network.pod_cidr}, {network.node_cidr} }}"
    head = f"insert rule {chain.family} {chain.table} {chain.name}"
    return "".join(f'{head} ip {side} {cluster} accept comment "{COMMENT}"\n' for side in ("saddr", "daddr"))


async def _open_native(chain: DroppingChain, network: ClusterNetwork) -> bool:
    if f'comment "{COMMENT}"' in await run("nft", "list", "chain", chain.family, chain.table, chain.name):
        return False
    await nft(accept_rules(chain, network))
    return True


async def _open_iptables(network: ClusterNetwork) -> bool:
    if find_inserted(await run("iptables", "-w", "-S", "FORWARD")):
        return False
    for cidr in (network.pod_cidr, network.node_cidr):
        for side in ("-s", "-d"):
            await run(
                *("iptables", "-w", "-I", "FORWARD", side, cidr),
                *("-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"),
            )
    return True


def find_inserted(listing: str) -> list[list[str]]:
    """Arguments that delete our rules again, from what `iptables -S FORWARD` prints."""
    mine = [line.split() for line in listing.splitlines() if f"--comment {COMMENT} " in line]
    return [["-D", *words[1:]] for words in mine if words[0] == "-A"]


def find_openings(listing: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, int]]:
    """Family, table, chain and handle of our native rules, from `nft -json -a list ruleset`."""
    rules = (item["rule"] for item in listing if "rule" in item)
    return [(r["family"], r["table"], r["chain"], r["handle"]) for r in rules if r.get("comment") == COMMENT]


async def close_forwarding() -> None:
    """Take back what `open_forwarding` inserted."""
    listing = json.loads(await run("nft", "-json", "-a", "list", "ruleset"))["nftables"]
    openings = find_openings(listing)
    await nft(
        "".join(f"delete rule {family} {table} {chain} handle {number}\n" for family, table, chain, number in openings)
    )
    if any(chain.is_iptables for chain in find_dropping(listing)):
        for arguments in find_inserted(await run("iptables", "-w", "-S", "FORWARD")):
            await run("iptables", "-w", *arguments)
