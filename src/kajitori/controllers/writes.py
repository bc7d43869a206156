"""Writing, then waiting until the cache shows the write: a loop never plans on a view older than its own last act.

Upstream counts "expectations" for the same purpose. A key is worked on by one worker at a time, so waiting inside
`reconcile` is enough, and a stale cache can neither double a creation nor repeat a deletion.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, uid_of
from kajitori.api.resource import Resource
from kajitori.client.cache import Cache, Informer
from kajitori.client.interface import Client, PatchType
from kajitori.kit.clock import Clock
from kajitori.kit.numbers import unsigned

# The watch is then behind or broken; the loop goes on, and a conflict or a name that exists stops the double.
CACHE_WAIT_MAX_S = 10.0


class Writes:
    """The client's writes for watched kinds. Kinds that nobody watches are written and not waited for."""

    def __init__(self, client: Client, cache: Cache, clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._clock = clock
        self._informers: dict[Hashable, Informer] = {}
        self._waiting: dict[
            tuple[Hashable, ObjectKey], list[tuple[Callable[[Object | None], bool], asyncio.Future[None]]]
        ]
        self._waiting = {}

    def watch(self, resource: Resource, informer: Informer) -> None:
        """Know the informer of a kind. Asking twice does nothing."""
        kind = _kind(resource)
        if kind in self._informers:
            return
        self._informers[kind] = informer
        informer.subscribe(lambda _type, obj, _old: self._seen(kind, obj))

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        created = await self._client.create(resource, obj, namespace)
        await self._until(resource, created, lambda cached: _at_least(cached, created))
        return created

    async def update(self, resource: Resource, obj: Object, *, subresource: str | None = None) -> Object:
        updated = await self._client.update(resource, obj, subresource=subresource)
        await self._until(resource, updated, lambda cached: cached is None or _at_least(cached, updated))
        return updated

    async def update_status(self, resource: Resource, obj: Object, status: Object) -> Object:
        """Write `status` if it differs from what `obj` has. Returns the newest object."""
        if (obj.get("status") or {}) == status:
            return obj
        return await self.update(resource, {**obj, "status": status}, subresource="status")

    async def patch(
        self,
        resource: Resource,
        obj: Object,
        patch: Any,
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str | None = None,
    ) -> Object:
        key = key_of(obj)
        patched = await self._client.patch(
            resource, key.name, patch, key.namespace or None, patch_type=patch_type, subresource=subresource
        )
        await self._until(resource, patched, lambda cached: cached is None or _at_least(cached, patched))
        return patched

    async def delete(
        self, resource: Resource, obj: Object, *, propagation: str = "", grace_period_s: int | None = None
    ) -> bool:
        """Delete exactly this object (by uid). False when it was gone already."""
        key = key_of(obj)
        try:
            await self._client.delete(
                resource,
                key.name,
                key.namespace or None,
                uid=uid_of(obj),
                propagation=propagation,
                grace_period_s=grace_period_s,
            )
        except NotFound:
            return False
        await self._until(
            resource, obj, lambda cached: cached is None or uid_of(cached) != uid_of(obj) or is_deleting(cached)
        )
        return True

    def _seen(self, kind: Hashable, obj: Object) -> None:
        key = key_of(obj)
        cached = self._informers[kind].get(key)
        for satisfied, future in self._waiting.get((kind, key), ()):
            if not future.done() and satisfied(cached):
                future.set_result(None)

    async def _until(self, resource: Resource, obj: Object, satisfied: Callable[[Object | None], bool]) -> None:
        kind, key = _kind(resource), key_of(obj)
        informer = self._informers.get(kind)
        if informer is None or satisfied(informer.get(key)):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = (satisfied, future)
        self._waiting.setdefault((kind, key), []).append(waiter)
        timer = self._clock.call_later(CACHE_WAIT_MAX_S, lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            timer.cancel()
            waiters = self._waiting[kind, key]
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[kind, key]


def _kind(resource: Resource) -> Hashable:
    return (resource.group, resource.version, resource.plural)


def revision_of(obj: Object) -> int:
    """The resourceVersion as a number: upstream promises since v1.35 that they compare so within a kind."""
    text = obj["metadata"].get("resourceVersion") or "0"
    return unsigned(text) or 0


def _at_least(cached: Object | None, written: Object) -> bool:
    return cached is not None and (uid_of(cached) != uid_of(written) or revision_of(cached) >= revision_of(written))
