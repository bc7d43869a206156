"""Keeps the kernel's rules equal to the cluster's Services, until cancelled; the rules stay when it ends."""

import asyncio
import json
import logging
from dataclasses import dataclass

from kajitori.api.core import SERVICE
from kajitori.api.meta import Object, ObjectKey, key_of
from kajitori.client.cache import Cache
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.network.changes import Changes
from kajitori.network.command import nft, run
from kajitori.network.errors import CommandFailed, NetworkError
from kajitori.network.proxy.conntrack import forget_stale
from kajitori.network.proxy.observed import parse_table
from kajitori.network.proxy.rules import (
    Destination,
    RuleConfig,
    Sender,
    compile_service,
    udp_endpoints,
)
from kajitori.network.proxy.ruleset import Ruleset, difference, merge
from kajitori.network.proxy.table import TABLE, skeleton
from kajitori.network.service_slices import ServiceSlices, service_of

logger = logging.getLogger(__name__)

_RETRY = Backoff(initial_s=0.2, max_s=30.0)


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    rules: RuleConfig
    interval_s: float = 0.1
    """Least time between two transactions; a change after a quiet spell is applied at once."""


class Proxy:
    """Compiles again only the Services that changed, and sends only what differs, as one transaction.

    Bounded by the number of Services: a Service waits once, however often it changes.
    """

    def __init__(self, config: ProxyConfig, cache: Cache, clock: Clock) -> None:
        self._config = config
        self._services = cache.informer(SERVICE)
        self._slices = ServiceSlices(cache)
        self._changes = Changes(clock, config.interval_s)
        self._dirty: set[ObjectKey] = set()
        self._compiled: dict[ObjectKey, Ruleset] = {}
        self._udp: dict[ObjectKey, dict[Destination, frozenset[Sender]]] = {}
        self._applied: Ruleset | None = None
        self.synced = asyncio.Event()
        """Set when the kernel has first been brought up to date."""

    async def run(self) -> None:
        await self._services.synced()
        await self._slices.informer.synced()
        unsubscribe = (self._services.subscribe(self._note_service), self._slices.informer.subscribe(self._note_slice))
        self._applied = await self._observe()
        try:
            await self._changes.follow(self._sync, _RETRY, self._failed)
        finally:
            for end in unsubscribe:
                end()

    def _failed(self, error: NetworkError) -> None:
        logger.warning("rules of Services: %s; building the table anew", error)
        self._applied = None

    def _note_service(self, kind: str, service: Object, old: Object | None) -> None:
        self._note(key_of(service))

    def _note_slice(self, kind: str, piece: Object, old: Object | None) -> None:
        for owner in {service_of(piece), service_of(old) if old else None} - {None}:
            assert owner is not None
            self._note(owner)

    def _note(self, key: ObjectKey) -> None:
        self._dirty.add(key)
        self._changes.mark()

    async def _observe(self) -> Ruleset | None:
        """What an earlier process left; None when there is nothing to build on."""
        try:
            listing = json.loads(await run("nft", "-json", "list", "table", "ip", TABLE))["nftables"]
        except CommandFailed:
            return None
        return parse_table(listing, self._config.rules.table)

    async def _sync(self) -> None:
        changed_udp = self._compile_dirty()
        wanted = merge(self._compiled[key] for key in sorted(self._compiled))
        if self._applied is None:
            text = skeleton(self._config.rules.table) + difference(TABLE, Ruleset(), wanted)
        else:
            text = difference(TABLE, self._applied, wanted)
        await nft(text)
        self._applied = wanted
        self.synced.set()
        if changed_udp:
            forgotten = await asyncio.to_thread(forget_stale, changed_udp)
            logger.debug("forgot %d UDP flows to endpoints that are gone", forgotten)

    def _compile_dirty(self) -> dict[Destination, frozenset[Sender]]:
        """Compile what changed; returns the UDP destinations that lost an endpoint or got their first."""
        changed: dict[Destination, frozenset[Sender]] = {}
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            service = self._services.get(key)
            slices = self._slices.of(key)
            before = self._udp.pop(key, {})
            now: dict[Destination, frozenset[Sender]] = {}
            if service is None:
                self._compiled.pop(key, None)
            else:
                self._compiled[key] = compile_service(service, slices, self._config.rules)
                now = udp_endpoints(service, slices, self._config.rules)
            if now:
                self._udp[key] = now
            changed |= changed_destinations(before, now)
        return changed


def changed_destinations(
    before: dict[Destination, frozenset[Sender]], now: dict[Destination, frozenset[Sender]]
) -> dict[Destination, frozenset[Sender]]:
    """Destinations with flows that may now be wrong: an endpoint went, or the first came. With who may answer now."""
    found = {}
    for destination in before.keys() | now.keys():
        old, new = before.get(destination, frozenset()), now.get(destination, frozenset())
        if old - new or (new and not old):
            found[destination] = new
    return found
