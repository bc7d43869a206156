"""The API server's `Objects` in memory: for tests of its own parts and of whatever writes through it."""

import copy
import itertools
from collections.abc import Callable, Iterable

from kajitori.api.errors import AlreadyExists, Conflict, NotFound
from kajitori.api.meta import Object, ObjectKey, key_of
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.apiserver.interfaces import Change, Watcher

_Path = tuple[str, str]


class FakeObjects:
    """Versions of a kind share one store. Everything happens at once; watchers are called before a write returns."""

    shared = False

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s
        self.writes = 0
        self._stored: dict[_Path, dict[ObjectKey, Object]] = {}
        self._watchers: dict[_Path, list[Watcher]] = {}
        self._revision = itertools.count(1)

    async def caught_up(self) -> None:
        """It always is."""

    def put(self, resource: Resource, obj: Object) -> Object:
        """Store without ceremony; what a test starts from."""
        stored = copy.deepcopy(obj)
        stored.setdefault("apiVersion", resource.api_version)
        stored.setdefault("kind", resource.kind)
        meta = stored["metadata"]
        number = next(self._revision)
        meta.setdefault("uid", f"uid-{number}")
        meta.setdefault("creationTimestamp", timestamp(self.now_s))
        meta["resourceVersion"] = str(number)
        kind = self._of(resource)
        event = "MODIFIED" if key_of(stored) in kind else "ADDED"
        kind[key_of(stored)] = stored
        self._notify(resource, event, stored)
        return copy.deepcopy(stored)

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        found = self.cached(resource, name, namespace)
        if found is None:
            raise NotFound.of(resource.group, resource.plural, name)
        return copy.deepcopy(found)

    def cached(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        return self._of(resource).get(ObjectKey(namespace, name))

    def cached_list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        kind = self._of(resource)
        return [kind[key] for key in sorted(kind) if not namespace or key.namespace == namespace]

    async def create(self, resource: Resource, obj: Object) -> Object:
        meta = obj["metadata"]
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = f"{meta['generateName']}{next(self._revision):05d}"
        if key_of(obj) in self._of(resource):
            raise AlreadyExists.of(resource.group, resource.plural, meta["name"])
        self.writes += 1
        return self.put(resource, obj)

    async def update(
        self, resource: Resource, name: str, namespace: str, change: Change, *, keep_generation: bool = False
    ) -> Object:
        before = await self.get(resource, name, namespace)
        after = change(copy.deepcopy(before))
        if after == before:
            return after
        self.writes += 1
        if before["metadata"].get("deletionTimestamp") and not after["metadata"].get("finalizers"):
            return self._remove(resource, ObjectKey(namespace, name))
        return self.put(resource, after)

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, uid: str = "", grace_period_s: int | None = None
    ) -> Object:
        found = await self.get(resource, name, namespace)
        if uid and uid != found["metadata"]["uid"]:
            raise Conflict.of(resource.group, resource.plural, name, "the UID in the precondition does not match")
        self.writes += 1
        if resource.begin_deletion is not None:
            resource.begin_deletion(found, timestamp(self.now_s))
        if found["metadata"].get("finalizers"):
            found["metadata"].setdefault("deletionTimestamp", timestamp(self.now_s))
            return self.put(resource, found)
        return self._remove(resource, ObjectKey(namespace, name))

    def subscribe(self, resource: Resource, watcher: Watcher) -> Callable[[], None]:
        watchers = self._watchers.setdefault(self._path(resource), [])
        watchers.append(watcher)
        for obj in self.cached_list(resource):
            watcher("ADDED", obj)
        return lambda: watchers.remove(watcher)

    def end_watches(self, resource: Resource) -> None:
        """Nobody watches over a connection here."""

    def _remove(self, resource: Resource, key: ObjectKey) -> Object:
        gone = self._of(resource).pop(key)
        self._notify(resource, "DELETED", gone)
        return copy.deepcopy(gone)

    def _notify(self, resource: Resource, event: str, obj: Object) -> None:
        for watcher in list(self._watchers.get(self._path(resource), ())):
            watcher(event, obj)

    def _of(self, resource: Resource) -> dict[ObjectKey, Object]:
        return self._stored.setdefault(self._path(resource), {})

    @staticmethod
    def _path(resource: Resource) -> _Path:
        return resource.group, resource.plural
