"""Which addresses stand behind a port of a Service, as seen from one node.

The rules are the Service API's: ready endpoints; when none is ready, those that still serve while terminating; hints of
the EndpointSlices when every endpoint has one; only this node's under a traffic policy of Local.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kajitori.api.meta import Object


class Endpoint(NamedTuple):
    """An address and port that a connection may be sent to. `node` is "" when the slice does not say."""

    ip: str
    port: int
    node: str = ""


@dataclass(frozen=True, slots=True)
class NodeView:
    """Where the rules are for; a zone is optional."""

    name: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Backends:
    """`everywhere` is what a policy of Cluster sends to, `local` what Local does."""

    everywhere: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    endpoint: Endpoint
    ready: bool
    serving: bool
    terminating: bool
    hinted_nodes: frozenset[str]
    hinted_zones: frozenset[str]

    @property
    def last_resort(self) -> bool:
        return self.serving and self.terminating


def backends(slices: Iterable[Object], port_name: str, protocol: str, node: NodeView) -> Backends:
    """The endpoints of a named port ("" for the only one), in a stable order."""
    candidates = sorted(_candidates(slices, port_name, protocol), key=lambda c: c.endpoint)
    local = [c for c in candidates if c.endpoint.node == node.name]
    return Backends(_unique(_hinted(_usable(candidates), node)), _unique(_usable(local)))


def _usable(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    return [c for c in candidates if c.ready] or [c for c in candidates if c.last_resort]


def _hinted(candidates: list[_Candidate], node: NodeView) -> list[_Candidate]:
    """Keep to the hinted ones for this node, else this zone; a single endpoint without hints voids them all."""
    if candidates and all(c.hinted_nodes for c in candidates):
        mine = [c for c in candidates if node.name in c.hinted_nodes]
        if mine:
            return mine
    if candidates and node.zone and all(c.hinted_zones for c in candidates):
        mine = [c for c in candidates if node.zone in c.hinted_zones]
        if mine:
            return mine
    return candidates


def _unique(candidates: Iterable[_Candidate]) -> tuple[Endpoint, ...]:
    found = {(c.endpoint.ip, c.endpoint.port): c.endpoint for c in candidates}
    return tuple(found.values())


def _candidates(slices: Iterable[Object], port_name: str, protocol: str) -> Iterator[_Candidate]:
    for piece in slices:
        if piece.get("addressType", "IPv4") != "IPv4":
            continue
        for port in piece.get("ports") or ():
            if (port.get("name") or "") != port_name or (port.get("protocol") or "TCP") != protocol:
                continue
            if port.get("port") is None:
                continue
            for entry in piece.get("endpoints") or ():
                yield from _of_entry(entry, port["port"])


def _of_entry(entry: dict[str, Any], port: int) -> Iterator[_Candidate]:
    conditions = entry.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    hints = entry.get("hints") or {}
    for address in entry.get("addresses") or ():
        yield _Candidate(
            endpoint=Endpoint(address, port, entry.get("nodeName") or ""),
            ready=ready,
            serving=ready if serving is None else bool(serving),
            terminating=bool(conditions.get("terminating")),
            hinted_nodes=frozenset(hint["name"] for hint in hints.get("forNodes") or ()),
            hinted_zones=frozenset(hint["name"] for hint in hints.get("forZones") or ()),
        )
