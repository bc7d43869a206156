"""The API server: storage, cache, pipeline and HTTP put together.

server = ApiServer(storage, registry, clock)
await server.start()                       # the cache is full; `server.objects` works
server.install(Extension(...))             # security and special endpoints, built upon `server.objects`
port = await server.serve("127.0.0.1", 6443, tls)
await server.stop()
"""

import asyncio
import random
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from kajitori.api.registry import BUILT_IN_GROUPS, Registry
from kajitori.apiserver import about, process_figures
from kajitori.apiserver.compaction import COMPACTION_S, Compactor
from kajitori.apiserver.discovery import Discovery
from kajitori.apiserver.expiry import EVENTS_KEPT_S, Expiry
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.flow import dumps
from kajitori.apiserver.flow.conditions import DanglingConditions
from kajitori.apiserver.flow.control import FlowControl
from kajitori.apiserver.health import Health
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http_types import Handler, Request, RequestContext, Response
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.measured_storage import MeasuredStorage
from kajitori.apiserver.measurements import measure
from kajitori.apiserver.metrics import Metrics, figures
from kajitori.apiserver.objects import ObjectStore
from kajitori.apiserver.openapi_documents import DOCUMENT_BYTES, OpenApi
from kajitori.apiserver.pipeline import Pipeline
from kajitori.apiserver.refusals import method_not_allowed, no_such_resource
from kajitori.apiserver.request_info import RequestInfo
from kajitori.apiserver.responses import NOT_A_PATH, json_response
from kajitori.apiserver.rest.backend import Backend
from kajitori.apiserver.store_size import StoreSize
from kajitori.apiserver.verbs import check_method, has_route, verb_of
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.kit.clock import Clock, within
from kajitori.kit.randomness import BlockRandom
from kajitori.storage.interface import Storage, StorageError

VERSION = "v1.36.2+kajitori"
STORE_PATIENCE_S = 2.0
"""A store that has not answered by then counts as ill (upstream's limit of its etcd check)."""
_PATHS = (
    "/api", "/apis", "/apis/", about.FLAGS, "/metrics", "/metrics/slis", "/openapi/v2", "/openapi/v3", "/openapi/v3/",
    about.STATUS, "/version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ApiServerConfig:
    limits: Limits = field(default_factory=Limits)
    reading_max: int = 400
    """Upstream's max-requests-inflight; what priority and fairness divides is this and the next together."""
    mutating_max: int = 200
    compaction_s: float = COMPACTION_S
    events_kept_s: float = EVENTS_KEPT_S
    shutdown_delay_s: float = 0.0
    """How long a stopping server says that it is not ready and goes on serving (upstream's --shutdown-delay-duration):
    balancers send their clients elsewhere meanwhile."""
    watches_end_s: float = 0.0
    """During how long it then ends its watches, one after the other; 0: at once (upstream's
    --shutdown-watch-termination-grace-period)."""
    drain_s: float = 10.0
    """How long a stop waits for requests that are under way."""
    version: str = VERSION
    flags: Sequence[str] = ()
    """`--name=value`, as they were given: what /flagz shows."""


class ApiServer:
    """Allows everything until an `Extension` is installed."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        clock: Clock,
        config: ApiServerConfig | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config or ApiServerConfig()
        self.registry = registry
        self.clock = clock
        self.cache = WatchCache(storage, clock)
        measured = MeasuredStorage(storage, clock)
        self.backend = Backend(cast(Storage, measured), self.cache, registry, clock, rng or BlockRandom())
        self.objects = ObjectStore(self.backend)
        self.discovery = Discovery(registry)
        self.health = Health()
        self.metrics = Metrics()
        self._about = about.About(clock, self.config.version, self.config.flags)
        self._openapi = OpenApi(registry, self.config.version, clock)
        self._flow = FlowControl(
            clock,
            self.config.reading_max + self.config.mutating_max,
            lambda resource: len(self.cache.kind(resource)),
            lambda callback: asyncio.get_running_loop().call_soon(callback),
        )
        self._pipeline = Pipeline(registry, clock, self.metrics, self._flow, self._dispatch)
        self._http = HttpServer(self._pipeline, clock, self.config.limits)
        self._compactor = Compactor(storage, clock, self.config.compaction_s)
        self._tasks: list[asyncio.Task[None]] = []
        self._paths: list[tuple[str, Handler]] = []
        self._remote: Mapping[tuple[str, str], Handler] = {}
        """By group and version, live: what other API servers answer."""
        self._store_size = StoreSize(storage, clock)
        self._synced = self._stopping = False
        measure(self.metrics, self._flow, self.cache, self._store_size, self._version())
        for family in measured.families():
            self.metrics.register(family)
        self.metrics.counter(
            "apiserver_tls_handshake_errors_total",
            "Connections that ended before TLS was agreed on.",
            lambda: [({}, self._http.failed_handshakes)],
        )
        self.health.live["etcd"] = self._store_answers
        self.health.ready |= {
            "etcd-readiness": self._store_answers,
            "informer-sync": lambda: "" if self._synced else "the watch cache is being filled",
            "shutdown": lambda: "process is shutting down" if self._stopping else "",
        }

    async def _store_answers(self) -> str:
        try:
            await within(self.clock, STORE_PATIENCE_S, self.backend.storage.revision())
        except (StorageError, TimeoutError) as error:
            return f"the store does not answer: {error}"
        return ""

    @property
    def extension(self) -> Extension:
        return self._pipeline.extension

    def install(self, extension: Extension) -> None:
        self._pipeline.extension = extension
        self.backend.admission = extension.admission
        self.backend.hooks = extension.hooks
        self._http.user_headers = ("impersonate-", *extension.user_headers)
        self.health.live.update(extension.live_checks)
        self.health.ready.update(extension.ready_checks)
        self._remote = extension.group_handlers
        self.discovery.server_address = extension.server_address
        if (aggregation := extension.aggregation) is not None:
            self.discovery.others, self.discovery.priority = aggregation.versions, aggregation.priority
            self._openapi.others, self._openapi.others_v3 = aggregation.openapi, aggregation.openapi_v3
        for family in extension.families:
            self.metrics.register(family)
        self._paths = sorted(extension.path_handlers.items(), key=lambda item: -len(item[0]))

    async def start(self) -> None:
        """Fill the cache. Raises StorageError."""
        self.cache.on_change = self._compactor.poke
        await self.cache.start()
        self._synced = True
        self._flow.start(self.objects)
        conditions = DanglingConditions(self.objects, self.clock)
        self._tasks.append(asyncio.create_task(conditions.run(), name="conditions of flow schemas"))
        self._tasks.append(asyncio.create_task(self._compactor.run(), name="compaction"))
        events = self.registry.by_path("", "v1", "events")
        if events is not None:
            expiry = Expiry(self.backend.storage, self.cache, self.clock, events, self.config.events_kept_s)
            self._tasks.append(asyncio.create_task(expiry.run(), name="expiry of events"))

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; returns the port (port 0 takes a free one). Raises OSError."""
        return await self._http.start(host, port, tls)

    async def stop(self) -> None:
        """Say that it stops, finish what is under way, end the watches, let go of the cache. The storage stays open: it
        was given."""
        self._stopping = True
        if self.config.shutdown_delay_s:
            await self.clock.sleep(self.config.shutdown_delay_s)
        await self._http.drain(self.config.drain_s, self.config.watches_end_s)
        self._flow.stop()
        for kind in self.cache.kinds():
            for watcher in kind.watchers():
                watcher.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.cache.close()
        self.backend.aside.close()

    async def answer(self, request: Request, user: User) -> Response:
        """A request from inside the process, by a user who needs no authentication."""
        return await self._pipeline.answer(request, user)

    async def _dispatch(self, info: RequestInfo, context: RequestContext) -> Response:
        if not info.resource:
            return await self._non_resource(context)
        if self._remote and (remote := self._remote.get((info.group, info.version))) is not None:
            return await remote(context)
        resource = context.resource
        extension = self._pipeline.extension
        if resource is None or not has_route(resource, info):
            return self._no_route(info.path)
        handler = extension.handlers.get((info.group, info.resource, info.subresource))
        if handler is not None and info.subresource:
            check_method(resource, info, context.method)
        if resource.deprecation:
            context.warnings.append(resource.deprecation)
        if handler is not None:
            return await handler(context)
        return await verb_of(resource, context)(self.backend, context)

    def _no_route(self, path: str) -> Response:
        """The refusal. A group that is served says itself that it has no such path."""
        parts = [*path.split("/"), ""]
        if parts[1] == "api" or (parts[1] == "apis" and parts[2] in BUILT_IN_GROUPS):
            raise no_such_resource()
        return NOT_A_PATH

    async def _non_resource(self, context: RequestContext) -> Response:
        path = context.path
        for prefix, handler in self._paths:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                return await handler(context)
        if path == "/version" or path == "/version/":
            if context.method != "GET":
                raise method_not_allowed()
            return json_response(self._version())
        if path == "/metrics":
            await self._store_size.ask()
            return self.metrics.render(context.headers.get("accept", ""))
        if path == "/metrics/slis":
            return figures((*process_figures.families(), *self.health.families()), context.headers.get("accept", ""))
        if path in ("/", "/index.html"):
            handled = (prefix for prefix, _ in self._paths)
            return about.index((*_PATHS, *handled, *self.discovery.paths(), *self.health.paths()))
        if (said := self._about.respond(context)) is not None:
            return said
        if self._remote and (remote := self._remote_of(path)) is not None:
            return await remote(context)
        if path.startswith("/openapi/"):
            return await self.backend.aside.run(DOCUMENT_BYTES, self._openapi.answer(context)) or NOT_A_PATH
        if path.startswith("/api"):
            return self.discovery.respond(context) or self._no_route(path)
        if path.startswith(dumps.PREFIX):
            return dumps.respond(self._flow, path, self.clock.monotonic()) or NOT_A_PATH
        return await self.health.respond(context) or NOT_A_PATH

    def _remote_of(self, path: str) -> Handler | None:
        """Who answers `/apis/<group>/<version>` and that version's OpenAPI, when it is not this server."""
        match path.removeprefix("/openapi/v3").strip("/").split("/"):
            case ["apis", group, version]:
                return self._remote.get((group, version))
        return None

    def _version(self) -> dict[str, str]:
        major, minor = self.config.version.lstrip("v").split(".")[:2]
        return {
            "major": major,
            "minor": minor,
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": self.config.version,
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": about.GO_VERSION,
            "compiler": "CPython",
            "platform": "linux/amd64",
        }
