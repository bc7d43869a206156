"""A ruleset as data, so that two can be merged and compared, and only the difference travels to the kernel."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What changes with Services. Base chains, maps and sets themselves are the table's and stand still.

    chains: rules by chain. maps: verdict by key, by map. elements: members by set. affinity: names of sets that the
    kernel fills by itself with clients' addresses.
    """

    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    elements: Mapping[str, frozenset[str]] = field(default_factory=dict)
    affinity: frozenset[str] = frozenset()


UNKNOWN_RULES = ("unknown",)
"""Stands for the rules of a chain that was found in the kernel: no compiled chain equals it, so it is written anew."""


def merge(parts: Iterable[Ruleset]) -> Ruleset:
    """All parts together. Where two claim one key of a map, the earlier part has it."""
    chains: dict[str, tuple[str, ...]] = {}
    maps: dict[str, dict[str, str]] = {}
    elements: dict[str, set[str]] = {}
    affinity: set[str] = set()
    for part in parts:
        chains.update(part.chains)
        for name, entries in part.maps.items():
            target = maps.setdefault(name, {})
            for key, verdict in entries.items():
                target.setdefault(key, verdict)
        for name, members in part.elements.items():
            elements.setdefault(name, set()).update(members)
        affinity |= part.affinity
    return Ruleset(chains, maps, {name: frozenset(members) for name, members in elements.items()}, frozenset(affinity))


def difference(table: str, old: Ruleset, new: Ruleset) -> str:
    """An nftables transaction that turns `old` into `new`; "" when they are equal.

    Chains and sets appear before anything refers to them and go after nothing does.
    """
    return "".join(f"{line}\n" for line in _lines(f"ip {table}", old, new))


def _lines(where: str, old: Ruleset, new: Ruleset) -> Iterator[str]:
    gone = sorted(old.chains.keys() - new.chains.keys())
    for name in sorted(new.affinity - old.affinity):
        yield f"add set {where} {name} {{ type ipv4_addr; flags dynamic,timeout; size 65536; }}"
    for name in sorted(new.chains.keys() - old.chains.keys()):
        yield f"add chain {where} {name}"
    yield from _map_removals(where, old, new)
    for name in gone:
        yield f"flush chain {where} {name}"
    for name, rules in sorted(new.chains.items()):
        known = old.chains.get(name)
        if known == rules:
            continue
        if known is not None:
            yield f"flush chain {where} {name}"
        for rule in rules:
            yield f"add rule {where} {name} {rule}"
    yield from _map_additions(where, old, new)
    for name in gone:
        yield f"delete chain {where} {name}"
    for name in sorted(old.affinity - new.affinity):
        yield f"delete set {where} {name}"


def _map_removals(where: str, old: Ruleset, new: Ruleset) -> Iterator[str]:
    for name, entries in sorted(old.maps.items()):
        kept = new.maps.get(name, {})
        stale = [key for key, verdict in sorted(entries.items()) if kept.get(key) != verdict]
        yield from _elements("delete", where, name, stale)
    for name, members in sorted(old.elements.items()):
        yield from _elements("delete", where, name, sorted(members - new.elements.get(name, frozenset())))


def _map_additions(where: str, old: Ruleset, new: Ruleset) -> Iterator[str]:
    for name, entries in sorted(new.maps.items()):
        known = old.maps.get(name, {})
        fresh = [f"{key} : {verdict}" for key, verdict in sorted(entries.items()) if known.get(key) != verdict]
        yield from _elements("add", where, name, fresh)
    for name, members in sorted(new.elements.items()):
        yield from _elements("add", where, name, sorted(members - old.elements.get(name, frozenset())))


def _elements(verb: str, where: str, name: str, items: list[str]) -> Iterator[str]:
    if items:
        yield f"{verb} element {where} {name} {{ {', '.join(items)} }}"
