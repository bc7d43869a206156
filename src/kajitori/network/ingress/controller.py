"""Keeps Envoy's files equal to the cluster's Ingresses, until cancelled; Envoy serves on when it ends."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

from kajitori.api.core import SECRET, SERVICE
from kajitori.api.meta import Object
from kajitori.api.networking import INGRESS, INGRESS_CLASS
from kajitori.client.cache import Cache
from kajitori.client.interface import Client
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.network.changes import Changes
from kajitori.network.errors import NetworkError
from kajitori.network.ingress.certificates import self_signed
from kajitori.network.ingress.config import EnvoyResources, Lookup, compile_ingress
from kajitori.network.ingress.envoy import Envoy, EnvoyConfig
from kajitori.network.ingress.files import ResourceFiles
from kajitori.network.ingress.listeners import ListenConfig
from kajitori.network.ingress.routing import class_names, is_ours
from kajitori.network.ingress.status import write_status
from kajitori.network.service_slices import ServiceSlices

logger = logging.getLogger(__name__)

_RETRY = Backoff(initial_s=0.5, max_s=30.0)
_TLS_SECRETS = "type=kubernetes.io/tls"


@dataclass(frozen=True, slots=True)
class IngressConfig:
    directory: Path
    """Envoy's files: resources, keys, log, admin socket. Kept between runs, removed with the node's data."""
    listen: ListenConfig = field(default_factory=ListenConfig)
    status_addresses: tuple[str, ...] = ()
    """What status.loadBalancer says; empty leaves the status to another node."""
    node_name: str = "kajitori"
    interval_s: float = 0.02
    """Least time between two changes of the files; a change after a quiet spell is written at once. Short, because
    until Envoy knows that a pod is leaving, a request that must not be repeated may still meet it."""
    settle_s: float = 1.0
    """How long Envoy may take to read a file before what it no longer needs is removed."""


class IngressController:
    """Compiles everything anew at each change: Ingresses are few, and equal files are not written again."""

    def __init__(self, config: IngressConfig, client: Client, cache: Cache, clock: Clock) -> None:
        self._config = config
        self._client = client
        self._clock = clock
        self._ingresses = cache.informer(INGRESS)
        self._classes = cache.informer(INGRESS_CLASS)
        self._services = cache.informer(SERVICE)
        self._secrets = cache.informer(SECRET, field_selector=_TLS_SECRETS)
        self._slices = ServiceSlices(cache)
        self._changes = Changes(clock, config.interval_s)
        self._ingress_changes = Changes(clock, config.interval_s)
        self._files = ResourceFiles(config.directory)
        self.envoy = Envoy(EnvoyConfig(config.directory, config.listen, node_name=config.node_name), clock)
        self._problems: list[str] = []
        self.ready = asyncio.Event()
        """Set while Envoy serves what the cluster says."""

    async def run(self) -> None:
        """Raises AddressTaken at the start when a port is not free."""
        informers = (self._ingresses, self._classes, self._services, self._secrets, self._slices.informer)
        for informer in informers:
            await informer.synced()
        unsubscribe = [informer.subscribe(self._changes.mark) for informer in informers]
        unsubscribe += [i.subscribe(self._ingress_changes.mark) for i in (self._ingresses, self._classes)]
        try:
            await asyncio.to_thread(self._files.prepare, lambda: self_signed(self._clock.now()))
            self._files.write(self._compile())
            await self.envoy.start()
            logger.info(
                "Ingress answers on ports %d and %d", self._config.listen.http_port, self._config.listen.https_port
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._keep_alive())
                if self._config.status_addresses:
                    group.create_task(self._keep_status())
        finally:
            self.ready.clear()
            for end in unsubscribe:
                end()

    async def _follow(self) -> None:
        self._changes.mark()
        stale_since_s: float | None = None
        while True:
            await self._changes.wait()
            resources = self._compile()
            self._report(resources.problems)
            if not self._files.write(resources):
                stale_since_s = None
            elif stale_since_s is None:
                stale_since_s = self._clock.monotonic()
                self._clock.call_later(self._config.settle_s, self._changes.mark)
            elif self._clock.monotonic() - stale_since_s >= self._config.settle_s:
                self._files.prune(resources)
                stale_since_s = None
            self.ready.set()

    async def _keep_status(self) -> None:
        failures = 0
        self._ingress_changes.mark()
        while True:
            await self._ingress_changes.wait()
            if await write_status(self._client, self._ours(), self._config.status_addresses):
                failures = 0
                continue
            failures += 1
            await self._clock.sleep(_RETRY.delay_s(failures))
            self._ingress_changes.mark()

    async def _keep_alive(self) -> None:
        """Start Envoy again whenever it ends."""
        failures = 0
        while True:
            await self.envoy.ended()
            self.ready.clear()
            failures += 1
            logger.warning("Envoy ended; starting it again: %s", self.envoy.log_tail(2))
            try:
                await self.envoy.start()
                self.ready.set()
                failures = 0
            except NetworkError as error:
                logger.warning("%s", error)
                await self._clock.sleep(_RETRY.delay_s(failures))

    def _ours(self) -> list[Object]:
        classes = class_names(self._classes.list())
        return [ingress for ingress in self._ingresses.list() if is_ours(ingress, classes)]

    def _compile(self) -> EnvoyResources:
        lookup = Lookup(self._services.get, self._slices.of, self._secrets.get)
        return compile_ingress(self._ours(), lookup, self._config.listen)

    def _report(self, problems: list[str]) -> None:
        for problem in problems:
            if problem not in self._problems:
                logger.warning("Ingress: %s", problem)
        self._problems = problems
