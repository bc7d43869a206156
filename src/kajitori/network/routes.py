"""A route to every other node's pods, by that node's address, kept current from Node objects."""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from kajitori.api.core import NODE
from kajitori.api.meta import Object, name_of
from kajitori.client.cache import Cache
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.network.changes import Changes
from kajitori.network.command import ip_batch, run
from kajitori.network.errors import NetworkError

logger = logging.getLogger(__name__)

_RETRY = Backoff(initial_s=0.5, max_s=30.0)

PROTOCOL = 187
"""The routing protocol number that marks our routes (rt_protos leaves it to anyone), so that they are found again."""


@dataclass(frozen=True, slots=True)
class RouteKeeperConfig:
    node_name: str
    interval_s: float = 0.2
    """Least time between two updates; a change after a quiet spell acts at once."""


def pod_cidr_of(node: Object) -> str:
    """The IPv4 range of a node's pods; "" while it has none."""
    spec = node.get("spec") or {}
    cidrs = spec.get("podCIDRs") or [spec.get("podCIDR") or ""]
    return next((cidr for cidr in cidrs if cidr and ":" not in cidr), "")


def internal_ip_of(node: Object) -> str:
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((a["address"] for a in addresses if a.get("type") == "InternalIP" and ":" not in a["address"]), "")


def wanted_routes(nodes: Iterable[Object], own_name: str) -> dict[str, str]:
    """Gateway by pod range, for every node but the own."""
    found = {}
    for node in nodes:
        cidr, gateway = pod_cidr_of(node), internal_ip_of(node)
        if cidr and gateway and name_of(node) != own_name:
            found[str(IPv4Network(cidr, strict=False))] = gateway
    return found


def plan_routes(wanted: Mapping[str, str], observed: Mapping[str, str]) -> list[str]:
    """`ip` commands that turn the observed routes into the wanted ones."""
    stale = [f"route delete {cidr} proto {PROTOCOL}" for cidr in sorted(observed) if cidr not in wanted]
    fresh = [
        f"route replace {cidr} via {gateway} proto {PROTOCOL}"
        for cidr, gateway in sorted(wanted.items())
        if observed.get(cidr) != gateway
    ]
    return stale + fresh


def parse_routes(routes: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(IPv4Network(route["dst"])): route["gateway"] for route in routes if "gateway" in route}


async def read_routes() -> dict[str, str]:
    return parse_routes(json.loads(await run("ip", "-json", "-4", "route", "show", "proto", str(PROTOCOL)) or "[]"))


class RouteKeeper:
    """Keeps this namespace's routes current until cancelled; they stay when it ends."""

    def __init__(self, config: RouteKeeperConfig, cache: Cache, clock: Clock) -> None:
        self._config = config
        self._nodes = cache.informer(NODE)
        self._changes = Changes(clock, config.interval_s)

    async def run(self) -> None:
        await self._nodes.synced()
        unsubscribe = self._nodes.subscribe(self._note)
        try:
            await self._changes.follow(self._sync, _RETRY, self._failed)
        finally:
            unsubscribe()

    def _failed(self, error: NetworkError) -> None:
        logger.warning("routes to other nodes' pods: %s; trying again", error)

    def _note(self, kind: str, node: Object, old: Object | None) -> None:
        """A node's heartbeat is not news; its addresses are."""
        name = self._config.node_name
        if old is None or kind == "DELETED" or wanted_routes([node], name) != wanted_routes([old], name):
            self._changes.mark()

    async def _sync(self) -> None:
        commands = plan_routes(wanted_routes(self._nodes.list(), self._config.node_name), await read_routes())
        await ip_batch(commands, keep_going=True)
