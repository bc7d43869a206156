"""The `Objects` protocol: decoded objects for the server's own parts, past authentication and admission."""

from collections.abc import Callable, Iterable

import orjson

from kajitori.api.errors import AlreadyExists, StatusError
from kajitori.api.errors import Conflict as StatusConflict
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import with_revision
from kajitori.apiserver.http_types import WriteContext
from kajitori.apiserver.interfaces import Change, User, Watcher
from kajitori.apiserver.rest import creating, deleting, updating
from kajitori.apiserver.rest import metadata as object_meta
from kajitori.apiserver.rest.backend import Backend, Current, cached, in_version, newest, not_found
from kajitori.apiserver.rest.deletion_options import DeleteOptions
from kajitori.storage.interface import Conflict

SERVER = User("system:apiserver", ("system:masters",))


class ObjectStore:
    """Runs defaults, validation and hooks, but neither authorization nor admission."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @property
    def shared(self) -> bool:
        return self._backend.storage.known_revision() is None

    async def caught_up(self) -> None:
        await self._backend.cache.caught_up()

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        current = await newest(self._backend, resource, namespace, name)
        if current is None:
            raise not_found(resource, name)
        return current.decode(resource)

    def cached(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        key = f"{namespace}/{name}" if resource.namespaced else name
        entry = self._backend.cache.kind(resource).get(key)
        if entry is None:
            return None
        return entry.object if resource.stored_as is None else in_version(resource, entry.copy())

    def cached_list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        kind = self._backend.cache.kind(resource)
        if not len(kind):
            return ()
        entries = kind.range(namespace)
        if resource.stored_as is None:
            return [entry.object for entry in entries]
        return [in_version(resource, entry.copy()) for entry in entries]

    async def create(self, resource: Resource, obj: Object) -> Object:
        obj = {**obj, "metadata": {**obj["metadata"]}}
        namespace = obj["metadata"].get("namespace") or ""
        if resource.default is not None:
            resource.default(obj)
        status = obj.get("status")
        creating.prepare(self._backend, resource, obj, namespace)
        if status is not None and not obj.get("status"):
            obj["status"] = status
        metadata = obj["metadata"]
        generate = not metadata["name"] and bool(metadata.get("generateName"))
        for _ in range(creating.NAME_ATTEMPTS):
            if generate:
                metadata["name"] = object_meta.generated_name(metadata["generateName"], self._backend.rng)
            creating.check(resource, obj)
            try:
                body = await creating.store(self._backend, resource, obj, WriteContext(SERVER))
            except AlreadyExists:
                if not generate:
                    raise
            else:
                return orjson.loads(body)  # type: ignore[no-any-return]
        raise AlreadyExists.of(resource.group, resource.plural, metadata["name"])

    async def update(
        self, resource: Resource, name: str, namespace: str, change: Change, *, keep_generation: bool = False
    ) -> Object:
        current, fresh = cached(self._backend, resource, namespace, name), False
        for _ in range(updating.PATCH_ATTEMPTS):
            if current is None and not fresh:
                current, fresh = await newest(self._backend, resource, namespace, name), True
            if current is None:
                raise not_found(resource, name)
            old = current.decode(resource)
            try:
                new = change(current.decode(resource))
            except StatusError:
                if fresh:
                    raise
                current = None  # what the cache had may be old: decided again on what the store has
                continue
            object_meta.keep_server_fields(new, old)
            counts = resource.counts_generation and not keep_generation
            if counts and _apart_from_status(new) != _apart_from_status(old):
                new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
            try:
                body = await updating.commit(self._backend, resource, new, old, current, WriteContext(SERVER))
            except Conflict as conflict:
                record = conflict.current
                current = Current(with_revision(record.value, record.modified), record.modified) if record else None
                fresh = True
            else:
                return orjson.loads(body)  # type: ignore[no-any-return]
        raise StatusConflict.modified(resource.group, resource.plural, name)

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, uid: str = "", grace_period_s: int | None = None
    ) -> Object:
        options = DeleteOptions(grace_period_s=grace_period_s, uid=uid or None)
        deletion = deleting.Deletion(resource, namespace, name, options, WriteContext(SERVER))
        deleted = await deleting.delete_object(self._backend, deletion)
        return orjson.loads(deleted.body)  # type: ignore[no-any-return]

    def subscribe(self, resource: Resource, watcher: Watcher) -> Callable[[], None]:
        if resource.stored_as is None:
            return self._backend.cache.kind(resource).subscribe(watcher)

        def convert(type: str, obj: Object) -> None:
            watcher(type, in_version(resource, {**obj}))

        return self._backend.cache.kind(resource).subscribe(convert)

    def end_watches(self, resource: Resource) -> None:
        for watcher in self._backend.cache.kind(resource).watchers():
            watcher.close()


def _apart_from_status(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
