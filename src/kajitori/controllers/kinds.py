"""Every kind that the server serves and that can be listed, watched and deleted: for loops that care for all of them.

Built-in kinds and those of CustomResourceDefinitions are found alike, through discovery. An informer follows each;
`discovery.DiscoveryController` refreshes the list when a definition changes.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.client.cache import Cache
from kajitori.client.informer import Informer
from kajitori.client.interface import Client, Disconnected, WatchEventType
from kajitori.kit.clock import Clock, within

KindHandler = Callable[[Resource, WatchEventType, Object, Object | None], None]
"""Called with the kind and what an informer's handler gets."""

log = logging.getLogger("kajitori.controllers")

LISTED_WITHIN_S = 30.0
"""A kind that cannot be listed (its conversion webhook is down, say) holds up the others no longer than this; upstream
waits as long."""
_NEEDED = {"delete", "list", "watch"}
# Events are many, short-lived, and own nothing.
_IGNORED = {("", "events"), ("events.k8s.io", "events")}


class Kinds:
    def __init__(self, client: Client, informer: Callable[[Resource], Informer], cache: Cache, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informer = informer
        self._cache = cache
        self._builtin = Registry()
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._watched: dict[tuple[str, str], tuple[Resource, Informer, Callable[[], None]]] = {}
        self._handlers: list[KindHandler] = []
        self._ready = asyncio.Event()
        self.failed: dict[str, str] = {}
        """Group versions whose discovery failed last time, and why."""

    def __iter__(self) -> Iterator[Resource]:
        return iter([resource for resource, _, _ in self._watched.values()])

    async def ready(self) -> None:
        """Wait until discovery has been read once and every kind that can be has been listed."""
        await self._ready.wait()

    def by_kind(self, api_version: str, kind: str) -> Resource | None:
        """Any served version of a kind."""
        return self._by_kind.get((api_version, kind))

    def subscribe(self, handler: KindHandler) -> None:
        """Call `handler` with every change of every kind, also of those to come."""
        self._handlers.append(handler)

    async def refresh(self) -> None:
        """Read discovery; follow new kinds, forget those that are gone. Returns when the new ones have been listed, or
        cannot be."""
        found, self.failed = await self._discover()
        self._by_kind = {(resource.api_version, resource.kind): resource for resource in found}
        wanted: dict[tuple[str, str], Resource] = {}
        for resource in found:
            if set(resource.verbs) >= _NEEDED and (resource.group, resource.plural) not in _IGNORED:
                wanted.setdefault((resource.group, resource.plural), resource)
        for identity in [i for i in self._watched if i not in wanted and not self._is_failed(i[0])]:
            self._forget(identity)
        for identity, resource in wanted.items():
            if identity not in self._watched:
                self._follow(identity, resource)
        await self._listed()
        self._ready.set()

    async def _listed(self) -> None:
        awaited = [(resource, informer) for resource, informer, _ in self._watched.values() if not informer.has_synced]
        try:
            await within(self._clock, LISTED_WITHIN_S, asyncio.gather(*(i.synced() for _, i in awaited)))
        except TimeoutError:
            names = ", ".join(resource.qualified_name for resource, i in awaited if not i.has_synced)
            log.warning("cannot be listed yet, and are left out of garbage collection: %s", names)

    def _is_failed(self, group: str) -> bool:
        return any(group_version.rpartition("/")[0] == group for group_version in self.failed)

    def _follow(self, identity: tuple[str, str], resource: Resource) -> None:
        informer = self._informer(resource)

        def handle(kind: WatchEventType, obj: Object, old: Object | None) -> None:
            for handler in self._handlers:
                handler(resource, kind, obj, old)

        self._watched[identity] = (resource, informer, informer.subscribe(handle))

    def _forget(self, identity: tuple[str, str]) -> None:
        resource, informer, unsubscribe = self._watched.pop(identity)
        unsubscribe()
        for obj in informer.list():
            for handler in self._handlers:
                handler(resource, WatchEventType.DELETED, obj, obj)
        if self._builtin.by_path(resource.group, resource.version, resource.plural) is None:
            self._cache.drop([informer])

    async def _discover(self) -> tuple[list[Resource], dict[str, str]]:
        """Resources, a group's preferred version first; and the group versions that could not be read."""
        groups = await self._document("/apis")
        paths = ["/api/v1"]
        for group in groups.get("groups") or ():
            versions = [v["groupVersion"] for v in group["versions"]]
            preferred = (group.get("preferredVersion") or {}).get("groupVersion")
            paths += [f"/apis/{v}" for v in sorted(versions, key=lambda v: v != preferred)]
        documents = await asyncio.gather(*(self._document(path) for path in paths), return_exceptions=True)
        found: list[Resource] = []
        failed: dict[str, str] = {}
        for path, document in zip(paths, documents, strict=True):
            group_version = path.split("/", 2)[2]
            if isinstance(document, BaseException):
                if not isinstance(document, Exception):
                    raise document
                failed[group_version] = str(document)
            else:
                found += self._resources(group_version, document)
        return found, failed

    def _resources(self, group_version: str, document: Object) -> list[Resource]:
        group, _, version = group_version.rpartition("/")
        found = []
        for entry in document.get("resources") or ():
            if "/" in entry["name"]:
                continue
            builtin = self._builtin.by_path(group, version, entry["name"])
            found.append(
                builtin
                or Resource(
                    group=group,
                    version=version,
                    kind=entry["kind"],
                    plural=entry["name"],
                    namespaced=entry["namespaced"],
                    verbs=tuple(entry.get("verbs") or ()),
                )
            )
        return found

    async def _document(self, path: str) -> Any:
        status, _, body = await self._client.raw("GET", path, headers={"accept": "application/json"})
        if status != 200:
            raise Disconnected(f"discovery of {path} answered {status}")
        return orjson.loads(body)
