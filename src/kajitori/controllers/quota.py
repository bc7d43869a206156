"""ResourceQuota status: how much of each limit a namespace uses. Admission refuses; this loop only counts."""

from collections.abc import Iterable

from kajitori.api import quota
from kajitori.api.core import PERSISTENT_VOLUME_CLAIM, POD, RESOURCE_QUOTA, SERVICE
from kajitori.api.meta import Object, ObjectKey, key_of, namespace_of
from kajitori.api.pods import is_terminal
from kajitori.api.resource import Resource
from kajitori.client.interface import WatchEventType
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, own


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.quotas = context.informer(RESOURCE_QUOTA)
        self.kinds = context.kinds

    def sources(self) -> Iterable[Source]:
        return (own(RESOURCE_QUOTA),)

    def attach(self) -> None:
        super().attach()
        self.kinds.subscribe(self._used_changed)

    def _used_changed(self, resource: Resource, kind: WatchEventType, obj: Object, old: Object | None) -> None:
        if kind is WatchEventType.MODIFIED and not (old is not None and _usage_changed(resource, obj, old)):
            return
        for found in self.quotas.list(namespace_of(obj)) if namespace_of(obj) else ():
            if (resource.group, resource.plural) in quota.kinds_of(found["spec"].get("hard") or {}):
                self.queue.add(key_of(found))

    async def reconcile(self, key: ObjectKey) -> float | None:
        found = self.quotas.get(key)
        if found is None:
            return None
        await self.kinds.ready()
        hard = dict(found["spec"].get("hard") or {})
        wanted = quota.kinds_of(hard)
        usages = [
            quota.usage_of(resource, obj)
            for resource, informer in self.kinds.watched()
            if (resource.group, resource.plural) in wanted
            for obj in informer.list(key.namespace)
            if quota.covers(found, resource, obj)
        ]
        status = {"hard": hard, "used": quota.total(usages, hard)} if hard else {}
        await self.writes.update_status(RESOURCE_QUOTA, found, status)
        return None


def _usage_changed(resource: Resource, new: Object, old: Object) -> bool:
    if resource is POD:
        return is_terminal(new) != is_terminal(old) or new["spec"] != old["spec"]
    return (resource is SERVICE or resource is PERSISTENT_VOLUME_CLAIM) and new["spec"] != old["spec"]
