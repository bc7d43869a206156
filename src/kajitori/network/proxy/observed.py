"""Reading back what an earlier process left in the kernel, so that a restarted one changes only what is wrong.

Sets of affinity are kept that way: a client stays with its endpoint through a restart of the node agent.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from kajitori.network.proxy.ruleset import UNKNOWN_RULES, Ruleset
from kajitori.network.proxy.table import BASE_CHAINS, HAIRPIN, TableConfig, version

# nft names protocols only on hosts that have /etc/protocols.
_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}


def parse_table(listing: Iterable[Mapping[str, Any]], config: TableConfig) -> Ruleset | None:
    """From what `nft -json list table` says; None when the table was made for other settings or by another version."""
    chains: dict[str, tuple[str, ...]] = {}
    maps: dict[str, dict[str, str]] = {}
    hairpin: frozenset[str] = frozenset()
    affinity = set()
    for item in listing:
        if chain := item.get("chain"):
            chains[chain["name"]] = UNKNOWN_RULES
        elif verdicts := item.get("map"):
            maps[verdicts["name"]] = {_key(key): _verdict(value) for key, value in verdicts.get("elem") or ()}
        elif members := item.get("set"):
            if members["name"] == HAIRPIN:
                hairpin = frozenset(_key(key) for key in members.get("elem") or ())
            else:
                affinity.add(members["name"])
    if version(config) not in chains:
        return None
    ours = {name: rules for name, rules in chains.items() if name not in BASE_CHAINS and name != version(config)}
    return Ruleset(ours, maps, {HAIRPIN: hairpin}, frozenset(affinity))


def _key(element: Any) -> str:
    parts = element["concat"]
    return " . ".join(
        _PROTOCOLS.get(part, str(part)) if _is_protocol(parts, i) else str(part) for i, part in enumerate(parts)
    )


def _is_protocol(parts: list[Any], index: int) -> bool:
    """Keys are `address . protocol . port`, `protocol . port` or two addresses: the protocol is next to last."""
    return index == len(parts) - 2


def _verdict(value: Mapping[str, Any]) -> str:
    (name, argument), *_ = value.items()
    return f"{name} {argument['target']}" if isinstance(argument, Mapping) else str(name)
