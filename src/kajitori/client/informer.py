"""One list and one endless watch of a resource, copied into memory and told to handlers.

The protocol is upstream's "efficient detection of changes": list, then watch from the list's resourceVersion; a watch
that ends goes on from the last revision seen (bookmarks advance it), and only a revision that the server does not know
(410, or 504 for one that has not come) asks for another list. Nothing is re-listed on a timer.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from typing import cast

from kajitori.api.errors import Expired, Gone, StatusError, Timeout
from kajitori.api.meta import Object, ObjectKey, key_of
from kajitori.api.resource import Resource
from kajitori.client.interface import Client, Disconnected, WatchEvent, WatchEventType
from kajitori.client.object_store import IndexFunction, Objects, ObjectStore
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock

Handler = Callable[[WatchEventType, Object, Object | None], None]
"""Called with ADDED, MODIFIED or DELETED, the object (its last known state when deleted) and what was cached before."""

logger = logging.getLogger(__name__)

# Upstream's reflector waits 0.8 s to 30 s, doubling, with jitter; a server on the same machine is back sooner.
BACKOFF = Backoff(initial_s=0.2, max_s=2.0, factor=2.0, jitter=0.5)
# A watch that ends this soon without an event is a server in trouble: without a pause the informer would spin.
SHORT_WATCH_S = 1.0


class Informer:
    """Reads answer from memory. Objects are shared: read them, never change them; `copy.deepcopy` before a change."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        rng: random.Random | None = None,
    ) -> None:
        self.resource = resource
        self._client = client
        self._clock = clock
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._rng = rng
        self._store = ObjectStore()
        self._handlers: list[Handler] = []
        self._resource_version = ""
        self._failures = 0
        self._synced = asyncio.Event()

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    async def synced(self) -> None:
        """Wait until the first list has been taken in."""
        await self._synced.wait()

    def get(self, key: ObjectKey) -> Object | None:
        return self._store.get(key)

    def list(self, namespace: str | None = None) -> Objects:
        return self._store.list(namespace)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """`function` gives the values an object is found under. The same function may be added again, no other."""
        self._store.add_index(name, function)

    def by_index(self, name: str, value: str) -> Objects:
        return self._store.by_index(name, value)

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        """Call `handler` with ADDED for all that exist, then with every change; returns what ends it."""
        for obj in self._store.list():
            _tell(handler, WatchEventType.ADDED, obj, None)
        self._handlers.append(handler)

        def unsubscribe() -> None:
            if handler in self._handlers:
                self._handlers.remove(handler)

        return unsubscribe

    async def run(self) -> None:
        """Keep the copy current, until cancelled."""
        while True:
            try:
                if not self._resource_version:
                    await self._list()
                await self._watch()
            except (StatusError, Disconnected) as error:
                self._failures += 1
                if _unknown_revision(error):
                    logger.info("watch of %s: %s; listing again", self.resource.qualified_name, error)
                    self._resource_version = ""
                else:
                    # One line a bout of trouble, not one a try.
                    level = logging.WARNING if self._failures == 2 else logging.DEBUG
                    logger.log(level, "watch of %s: %s; trying again", self.resource.qualified_name, error)
            if self._failures:
                await self._clock.sleep(BACKOFF.delay_s(self._failures, self._rng))

    async def _list(self) -> None:
        found = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        current = {key_of(obj): obj for obj in found.items}
        for key in [key for key in self._store if key not in current]:
            self._remove(key, None)
        for key, obj in current.items():
            self._put(key, obj)
        self._resource_version = found.resource_version
        self._synced.set()

    async def _watch(self) -> None:
        """Follow one watch to its end. One that brought something, or lasted, ends a bout of failures."""
        began_s = self._clock.monotonic()
        useful = False
        stream = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        try:
            async for event in stream:
                useful = useful or event.type is not WatchEventType.BOOKMARK
                self._take(event)
            if not useful and self._clock.monotonic() - began_s < SHORT_WATCH_S:
                self._failures += 1
        finally:
            if useful or self._clock.monotonic() - began_s >= SHORT_WATCH_S:
                self._failures = 0
            if hasattr(stream, "aclose"):
                await cast(AsyncGenerator[WatchEvent, None], stream).aclose()

    def _take(self, event: WatchEvent) -> None:
        obj = event.object
        if event.type is WatchEventType.DELETED:
            self._remove(key_of(obj), obj)
        elif event.type is not WatchEventType.BOOKMARK:
            self._put(key_of(obj), obj)
        self._resource_version = obj["metadata"]["resourceVersion"]

    def _put(self, key: ObjectKey, obj: Object) -> None:
        old = self._store.get(key)
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            # Deleted and made anew while no one watched: both are told.
            self._remove(key, None)
            old = None
        if old is not None and old["metadata"].get("resourceVersion") == obj["metadata"].get("resourceVersion"):
            return
        self._store.put(key, obj)
        self._notify(WatchEventType.ADDED if old is None else WatchEventType.MODIFIED, obj, old)

    def _remove(self, key: ObjectKey, final: Object | None) -> None:
        old = self._store.remove(key)
        if old is not None:
            self._notify(WatchEventType.DELETED, final or old, old)

    def _notify(self, kind: WatchEventType, obj: Object, old: Object | None) -> None:
        for handler in tuple(self._handlers):
            _tell(handler, kind, obj, old)


def _unknown_revision(error: Exception) -> bool:
    """The server has forgotten the revision, or does not know it yet because its store was replaced."""
    return isinstance(error, Expired | Gone) or (isinstance(error, Timeout) and error.is_too_large)


def _tell(handler: Handler, kind: WatchEventType, obj: Object, old: Object | None) -> None:
    """A handler that raises is a bug of its own: it is logged, and the others still hear."""
    try:
        handler(kind, obj, old)
    except Exception:
        logger.exception("handler of %s %s failed", kind, key_of(obj))
