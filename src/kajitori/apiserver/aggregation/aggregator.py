"""Aggregation at work: automatic APIServices kept, those behind a Service checked, their requests and documents served.

Nothing runs on a timer, and nobody looks at Services and endpoints, while every APIService is a local one.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from kajitori.api import core, discovery
from kajitori.api.apiextensions import CUSTOM_RESOURCE_DEFINITION
from kajitori.api.apiregistration import API_SERVICE
from kajitori.api.errors import AlreadyExists, NotFound, StatusError
from kajitori.api.meta import Object, condition_is, condition_of, name_of, namespace_of, set_condition
from kajitori.api.registry import Registry
from kajitori.api.times import timestamp
from kajitori.apiserver.aggregation.availability import LOCAL, missing_parts
from kajitori.apiserver.aggregation.priorities import ALWAYS, ON_START, Priority, default_priority, name_of_version
from kajitori.apiserver.aggregation.proxying import Proxy
from kajitori.apiserver.aggregation.registration import Action, Step, built_in, of_definitions, plan
from kajitori.apiserver.aggregation.remote import GroupVersion, Remote
from kajitori.apiserver.exposition import Family, Sample
from kajitori.apiserver.http_types import Handler
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.series import Counter
from kajitori.apiserver.streams.service_addresses import ServiceAddresses
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.client.idle_connections import IdleConnections
from kajitori.kit.clock import Clock
from kajitori.storage.interface import StorageError

log = logging.getLogger(__name__)

_RETRY_S = 1.0
_IDLE_MAX = 64
"""Connections to other servers that are kept for the next request."""
_SERVICE_NAME = "kubernetes.io/service-name"


class Aggregation:
    """`handlers` is live: what `Extension.group_handlers` takes."""

    def __init__(
        self,
        objects: Objects,
        registry: Registry,
        clock: Clock,
        endpoints: ServiceEndpoints,
        front_proxy: tuple[Path, Path],
    ) -> None:
        """`front_proxy` is the certificate and the key by which aggregated API servers know this one."""
        self._objects = objects
        self._clock = clock
        self._addresses = ServiceAddresses(objects, endpoints, front_proxy)
        self._idle = IdleConnections(clock, _IDLE_MAX)
        self._own = list(dict.fromkeys((resource.group, resource.version) for resource in registry))
        self._services: dict[str, Object] = {}
        self._remotes: dict[str, Remote] = {}
        self._lost = Counter(
            "aggregator_unavailable_apiservice_total", "APIServices that became unavailable.", "name reason"
        )
        self._work = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False
        self.handlers: dict[GroupVersion, Handler] = {}
        self._stop_looking: list[Callable[[], None]] = []
        self._unsubscribe = [
            objects.subscribe(API_SERVICE, self._service_changed),
            objects.subscribe(CUSTOM_RESOURCE_DEFINITION, lambda event, obj: self._work.set()),
        ]

    def stop(self) -> None:
        for unsubscribe in (*self._unsubscribe, *self._stop_looking):
            unsubscribe()
        for task in self._tasks:
            task.cancel()
        self._idle.close()

    # what discovery and OpenAPI ask

    def versions(self) -> Mapping[GroupVersion, Object]:
        """APIVersionDiscovery documents of the versions that are served elsewhere."""
        return {remote.group_version: remote.documents.discovery for remote in self._remotes.values()}

    def priority(self, group: str, version: str) -> Priority:
        service = self._services.get(name_of_version(group, version))
        if service is None:
            return default_priority(group, version)
        return service["spec"]["groupPriorityMinimum"], service["spec"]["versionPriority"]

    def openapi(self) -> list[tuple[str, Object]]:
        """ETag and document of every other server that has one, in a stable order."""
        found = ((name, self._remotes[name].documents) for name in sorted(self._remotes))
        return [(f"{name} {d.openapi_tag}", d.openapi) for name, d in found if d.openapi is not None]

    def openapi_v3(self) -> dict[str, Object]:
        return {
            "/".join(("apis", *remote.group_version)): remote.documents.openapi_v3
            for remote in self._remotes.values()
            if remote.documents.openapi_v3 is not None
        }

    # what is measured

    @property
    def families(self) -> tuple[Family, ...]:
        help = "1 while an APIService is not available."
        return Family("aggregator_unavailable_apiservice", "gauge", help, self._unavailable), self._lost.family

    def _unavailable(self) -> Iterator[Sample]:
        for name, service in self._services.items():
            yield {"name": name}, 0 if condition_is(service, "Available") else 1

    # the work

    async def run(self) -> None:
        self._running = True
        for remote in self._remotes.values():
            self._begin(remote)
        started = False
        while True:
            try:
                if not started:
                    await self._do(plan(built_in(self._own), self._services, ON_START))
                    started = True
                definitions = self._objects.cached_list(CUSTOM_RESOURCE_DEFINITION)
                await self._do(plan(of_definitions(definitions), self._services, ALWAYS))
                await self._judge_local()
            except (StatusError, StorageError) as error:
                log.warning("APIServices: %s; retrying", error)
                await self._clock.sleep(_RETRY_S)
                continue
            await self._work.wait()
            self._work.clear()

    async def _do(self, steps: Iterable[Step]) -> None:
        await asyncio.gather(*(self._step(step) for step in steps))

    async def _step(self, step: Step) -> None:
        service = step.service
        name = name_of(service)
        with contextlib.suppress(AlreadyExists, NotFound):
            if step.action is Action.CREATE:
                conditions: list[Object] = []
                set_condition(conditions, LOCAL, self._now())
                await self._objects.create(API_SERVICE, {**service, "status": {"conditions": conditions}})
            elif step.action is Action.DELETE:
                await self._objects.delete(API_SERVICE, name)
            else:
                await self._objects.update(API_SERVICE, name, "", lambda found: {**found, "spec": service["spec"]})

    async def _judge_local(self) -> None:
        for name, service in list(self._services.items()):
            if service["spec"].get("service") is None and not _says(service, LOCAL):
                await self._write(name, LOCAL)

    async def _write(self, name: str, condition: Object) -> None:
        """Writes nothing that is there already."""

        def change(service: Object) -> Object:
            conditions = service.setdefault("status", {}).setdefault("conditions", [])
            set_condition(conditions, condition, self._now())
            return service

        with contextlib.suppress(NotFound):
            await self._objects.update(API_SERVICE, name, "", change)

    def _now(self) -> str:
        return timestamp(self._clock.now())

    # what changes

    def _service_changed(self, event: str, service: Object) -> None:
        name = name_of(service)
        before = self._remotes.get(name)
        if event == "DELETED":
            self._services.pop(name, None)
            self._end(name)
        else:
            self._note_loss(name, service)
            self._services[name] = service
            if service["spec"].get("service") is None:
                self._end(name)
            elif before is None:
                self._add(name, service)
            elif before.spec != service["spec"]:
                before.spec = service["spec"]
                before.poke()
        self._work.set()

    def _note_loss(self, name: str, service: Object) -> None:
        known = self._services.get(name)
        if known is not None and condition_is(known, "Available") and not condition_is(service, "Available"):
            self._lost.add(name, str((condition_of(service, "Available") or {}).get("reason") or ""))

    def _add(self, name: str, service: Object) -> None:
        spec = service["spec"]
        proxy = Proxy(name, self._objects, self._addresses, self._idle)
        remote = self._remotes[name] = Remote(name, spec, proxy, self._clock, self._missing, self._report)
        self.handlers[remote.group_version] = proxy
        if not self._stop_looking:
            self._stop_looking = [
                self._objects.subscribe(core.SERVICE, self._way_changed(name_of)),
                self._objects.subscribe(discovery.ENDPOINT_SLICE, self._way_changed(_service_of_slice)),
            ]
        if self._running:
            self._begin(remote)

    def _begin(self, remote: Remote) -> None:
        remote.task = asyncio.create_task(remote.run(), name=f"APIService {remote.name}")
        self._tasks.add(remote.task)
        remote.task.add_done_callback(self._tasks.discard)

    def _end(self, name: str) -> None:
        remote = self._remotes.pop(name, None)
        if remote is None:
            return
        self.handlers.pop(remote.group_version, None)
        if remote.task is not None:
            remote.task.cancel()
        if not self._remotes:
            for unsubscribe in self._stop_looking:
                unsubscribe()
            self._stop_looking = []

    def _way_changed(self, service_of: Callable[[Object], str]) -> Callable[[str, Object], None]:
        def changed(event: str, obj: Object) -> None:
            place = (namespace_of(obj), service_of(obj))
            for remote in self._remotes.values():
                reference = remote.spec["service"]
                if (reference["namespace"], reference["name"]) == place:
                    remote.poke()

        return changed

    # what a remote asks and tells

    async def _report(self, name: str, condition: Object) -> None:
        service = self._services.get(name)
        if service is None or not _says(service, condition):
            await self._write(name, condition)

    def _missing(self, reference: Object) -> Object | None:
        namespace, name = reference["namespace"], reference["name"]
        slices = self._objects.cached_list(discovery.ENDPOINT_SLICE, namespace)
        ours = [each for each in slices if _service_of_slice(each) == name]
        return missing_parts(reference, self._objects.cached(core.SERVICE, name, namespace), ours)


def _says(service: Object, condition: Object) -> bool:
    found = condition_of(service, "Available") or {}
    return all(found.get(key) == value for key, value in condition.items())


def _service_of_slice(endpoint_slice: Object) -> str:
    return str((endpoint_slice["metadata"].get("labels") or {}).get(_SERVICE_NAME) or "")
