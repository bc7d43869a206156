"""The shell of the garbage collector: watches every kind, asks the server before it deletes."""

from collections import OrderedDict
from typing import Any

from kajitori.api.errors import Conflict, NotFound
from kajitori.api.meta import Object, is_deleting, uid_of
from kajitori.api.resource import Resource
from kajitori.client.interface import WatchEventType
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Loop
from kajitori.controllers.garbage.graph import (
    FOREGROUND,
    ORPHAN,
    Delete,
    DropOwners,
    Graph,
    Node,
    OwnerRef,
    Uid,
    judge,
    node_of,
    owner_refs,
)

# Owners known to be absent: uids are never used again, so remembering them only saves questions.
ABSENT_MAX = 500


class GarbageCollector(Loop[Uid]):
    name = "garbage-collector-controller"
    workers = 10

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.kinds = context.kinds
        self.graph = Graph()
        self.events = context.recorder(self.name)
        self._absent: OrderedDict[tuple[str, Uid], None] = OrderedDict()
        """With the namespace in which they were looked for."""

    def attach(self) -> None:
        self.kinds.subscribe(self._changed)

    async def run(self) -> None:
        # Until every kind has been seen once, an owner may merely be unknown.
        await self.kinds.ready()
        await super().run()

    def _changed(self, resource: Resource, kind: WatchEventType, obj: Object, _old: Object | None) -> None:
        if kind is WatchEventType.DELETED:
            look = self.graph.remove(uid_of(obj))
        else:
            look = self.graph.put(node_of(resource, obj))
        for uid in look:
            self.queue.add(uid)

    async def reconcile(self, key: Uid) -> float | None:
        node = self.graph.get(key)
        if node is None:
            return None
        if node.orphans_dependents:
            await self._orphan(node)
        elif node.waits_for_dependents:
            await self._wait_for_dependents(node)
        elif not node.deleting:
            await self._collect(node)
        return None

    async def _orphan(self, node: Node) -> None:
        for dependent in self.graph.dependents(node.uid):
            await self._drop_owners(dependent, frozenset({node.uid}))
        await self._drop_finalizer(node, ORPHAN)

    async def _wait_for_dependents(self, node: Node) -> None:
        blocking = self.graph.blocking(node.uid)
        if not blocking:
            await self._drop_finalizer(node, FOREGROUND)
        for dependent in blocking:
            if not dependent.waits_for_dependents:
                self.queue.add(dependent.uid)

    async def _collect(self, node: Node) -> None:
        if all(self._holds(node, owner) for owner in node.owners):
            return
        obj = await self._live(node)
        if obj is None or is_deleting(obj):
            return
        owners = owner_refs(obj)
        absent = frozenset([o.uid for o in owners if await self._is_absent(node, o)])
        match judge(obj, absent, self.graph):
            case DropOwners(uids):
                await self._drop_owners(node, uids)
            case Delete(propagation, unblock):
                if unblock:
                    obj = await self._unblock(node, obj)
                await self._delete(node, obj, propagation)

    def _known(self, node: Node, owner: OwnerRef) -> Node | None:
        """An owner in another namespace is none: a uid written down here must not hold or condemn what is there."""
        known = self.graph.get(owner.uid)
        return known if known is not None and known.key.namespace in ("", node.key.namespace) else None

    def _holds(self, node: Node, owner: OwnerRef) -> bool:
        known = self._known(node, owner)
        return known is not None and not (owner.blocks and known.waits_for_dependents)

    async def _live(self, node: Node) -> Object | None:
        """The object as the server has it, None when it is gone (or another took its name)."""
        try:
            obj = await self.client.get(node.resource, node.key.name, node.key.namespace or None)
        except NotFound:
            obj = None
        if obj is None or uid_of(obj) != node.uid:
            for uid in self.graph.remove(node.uid):
                self.queue.add(uid)
            return None
        return obj

    async def _is_absent(self, node: Node, owner: OwnerRef) -> bool:
        if self._known(node, owner) is not None:
            return False
        sought = (node.key.namespace, owner.uid)
        if sought in self._absent:
            return True
        resource = self.kinds.by_kind(owner.api_version, owner.kind)
        if resource is None:
            # Its group may be down, or its definition deleted: not knowing is no reason to delete.
            raise NotFound(
                f"no kind {owner.kind} in {owner.api_version} is served: cannot tell whether an owner exists"
            )
        if resource.namespaced and not node.key.namespace:
            self._report_impossible_owner(node, owner)
            return False
        try:
            found = await self.client.get(resource, owner.name, node.key.namespace if resource.namespaced else None)
        except NotFound:
            found = None
        if found is not None and uid_of(found) == owner.uid:
            return False
        self._absent[sought] = None
        if len(self._absent) > ABSENT_MAX:
            self._absent.popitem(last=False)
        return True

    def _report_impossible_owner(self, node: Node, owner: OwnerRef) -> None:
        obj: Object = {
            "apiVersion": node.resource.api_version,
            "kind": node.resource.kind,
            "metadata": {"name": node.key.name, "uid": node.uid},
        }
        message = (
            f"ownerRef [{owner.api_version}/{owner.kind}, name: {owner.name}, uid: {owner.uid}]"
            ' does not exist in namespace "": a cluster-scoped object cannot have a namespaced owner'
        )
        self.events.event(obj, "Warning", "OwnerRefInvalidNamespace", message)

    async def _delete(self, node: Node, obj: Object, propagation: str) -> None:
        try:
            await self.client.delete(
                node.resource,
                node.key.name,
                node.key.namespace or None,
                propagation=propagation,
                uid=node.uid,
                resource_version=obj["metadata"].get("resourceVersion", ""),
            )
        except NotFound:
            return

    async def _drop_owners(self, node: Node, uids: frozenset[Uid]) -> None:
        obj = await self._live(node)
        if obj is not None:
            references = [o for o in obj["metadata"].get("ownerReferences") or () if o["uid"] not in uids]
            await self._patch_metadata(node, obj, {"ownerReferences": references or None})

    async def _unblock(self, node: Node, obj: Object) -> Object:
        references = [{**o, "blockOwnerDeletion": False} for o in obj["metadata"].get("ownerReferences") or ()]
        return await self._patch_metadata(node, obj, {"ownerReferences": references}) or obj

    async def _drop_finalizer(self, node: Node, finalizer: str) -> None:
        obj = await self._live(node)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            await self._patch_metadata(node, obj, {"finalizers": [f for f in finalizers if f != finalizer] or None})

    async def _patch_metadata(self, node: Node, obj: Object, change: dict[str, Any]) -> Object | None:
        meta = obj["metadata"]
        patch = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], **change}}
        try:
            return await self.client.patch(node.resource, node.key.name, patch, node.key.namespace or None)
        except NotFound:
            return None
        except Conflict:
            self.queue.add(node.uid)
            raise
