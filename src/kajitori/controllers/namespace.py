"""Emptying a namespace that is being deleted, then letting it go.

Pods first, and everything else when the last of them is gone (KEP-5080): a pod must not outlive the policies and
secrets it depends on. What is left, and which finalizers hold it, is said in the namespace's conditions.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from kajitori.api.core import EVENT, NAMESPACE, POD
from kajitori.api.errors import MethodNotAllowed, NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, name_of, namespace_of, set_condition
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.client.interface import Disconnected, WatchEventType
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, own

FINALIZER = "kubernetes"
# What came into being behind the back of the watches is found by asking again.
LOOK_AGAIN_S = 5.0


@dataclass(slots=True)
class Leftovers:
    """What a round could not remove yet: kinds and finalizers with their counts, and what failed."""

    kinds: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    undiscovered: dict[str, str] = field(default_factory=dict)

    def add(self, resource: Resource, objects: Iterable[Object]) -> None:
        for obj in objects:
            self.kinds[resource.qualified_name] += 1
            self.finalizers.update(obj["metadata"].get("finalizers") or ())

    @property
    def nothing(self) -> bool:
        return not self.kinds and not self.failures and not self.undiscovered


def conditions_of(left: Leftovers) -> list[Object]:
    """The five conditions of a terminating namespace, in upstream's words."""

    def condition(kind: str, bad: str, good: tuple[str, str], reason: str) -> Object:
        if bad:
            return {"type": kind, "status": "True", "reason": reason, "message": bad}
        return {"type": kind, "status": "False", "reason": good[0], "message": good[1]}

    undiscovered = "; ".join(f"{group}: {why}" for group, why in sorted(left.undiscovered.items()))
    kinds = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(left.kinds.items()))
    holders = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(left.finalizers.items()))
    failures = "; ".join(sorted(left.failures))
    return [
        condition(
            "NamespaceDeletionDiscoveryFailure",
            f"Discovery failed for some groups, {len(left.undiscovered)} failing: {undiscovered}"
            if undiscovered
            else "",
            ("ResourcesDiscovered", "All resources successfully discovered"),
            "DiscoveryFailed",
        ),
        condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            "GroupVersionParsingFailed",
        ),
        condition(
            "NamespaceDeletionContentFailure",
            f"Failed to delete all resource types, {len(left.failures)} remaining: {failures}" if failures else "",
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            "ContentDeletionFailed",
        ),
        condition(
            "NamespaceContentRemaining",
            f"Some resources are remaining: {kinds}" if kinds else "",
            ("ContentRemoved", "All content successfully removed"),
            "SomeResourcesRemain",
        ),
        condition(
            "NamespaceFinalizersRemaining",
            f"Some content in the namespace has finalizers remaining: {holders}" if holders else "",
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
            "SomeFinalizersRemain",
        ),
    ]


class NamespaceController(Controller):
    name = "namespace-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.namespaces = context.informer(NAMESPACE)
        self.kinds = context.kinds

    def sources(self) -> Iterable[Source]:
        return (own(NAMESPACE),)

    def attach(self) -> None:
        super().attach()
        self.kinds.subscribe(self._gone)

    def _gone(self, _resource: Resource, kind: WatchEventType, obj: Object, _old: Object | None) -> None:
        """Each object that leaves a terminating namespace may have been the last."""
        if kind is not WatchEventType.DELETED or not namespace_of(obj):
            return
        key = ObjectKey("", namespace_of(obj))
        namespace = self.namespaces.get(key)
        if namespace is not None and is_deleting(namespace):
            self.queue.add(key)

    async def reconcile(self, key: ObjectKey) -> float | None:
        namespace = self.namespaces.get(key)
        if namespace is None or not is_deleting(namespace):
            return None
        if FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return None
        await self.kinds.ready()
        left = await self._empty(key.name)
        namespace = await self._report(namespace, left)
        if not left.nothing:
            return LOOK_AGAIN_S
        finalizers = [f for f in namespace["spec"]["finalizers"] if f != FINALIZER]
        await self.client.update(
            NAMESPACE, {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}, subresource="finalize"
        )
        return None

    async def _empty(self, namespace: str) -> Leftovers:
        left = Leftovers(undiscovered=dict(self.kinds.failed))
        await self._empty_of(POD, namespace, left)
        if left.kinds:
            return left
        others = [r for r in self.kinds if r.namespaced and r is not POD]
        await asyncio.gather(*(self._empty_of(resource, namespace, left) for resource in (*others, EVENT)))
        return left

    async def _empty_of(self, resource: Resource, namespace: str, left: Leftovers) -> None:
        """Ask the server, not the cache: what is forgotten here would never be deleted."""
        try:
            found = (await self.client.list(resource, namespace)).items
            if not found:
                return
            await self._delete_all(resource, namespace, found)
            left.add(resource, (await self.client.list(resource, namespace)).items)
        except NotFound:
            return
        except (StatusError, Disconnected) as error:
            left.failures.append(f"{resource.qualified_name}: {error}")

    async def _delete_all(self, resource: Resource, namespace: str, found: list[Object]) -> None:
        if all(is_deleting(obj) for obj in found):
            return
        try:
            await self.client.delete_collection(resource, namespace, propagation="Background")
        except MethodNotAllowed:
            for obj in found:
                await self.writes.delete(resource, obj, propagation="Background")

    async def _report(self, namespace: Object, left: Leftovers) -> Object:
        status = {**(namespace.get("status") or {}), "phase": "Terminating"}
        conditions = [dict(c) for c in status.get("conditions") or ()]
        for condition in conditions_of(left):
            set_condition(conditions, condition, timestamp(self.clock.now()))
        # A namespace that goes at once needs no story.
        if not left.nothing or status.get("conditions"):
            status["conditions"] = conditions
        return await self.writes.update_status(NAMESPACE, namespace, status)


def is_active(namespace: Object) -> bool:
    return (namespace.get("status") or {}).get("phase") != "Terminating" and not is_deleting(namespace)


class InEveryNamespace(Controller):
    """A loop that keeps one object of a fixed name in every namespace that is not on its way out."""

    resource: Resource
    wanted_name: str

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.namespaces = context.informer(NAMESPACE)
        self.objects = context.informer(self.resource)

    def sources(self) -> Iterable[Source]:
        return (
            own(NAMESPACE, changed=lambda new, old: is_active(new) != is_active(old)),
            Source(self.resource, self._namespace_of),
        )

    def _namespace_of(self, obj: Object) -> list[ObjectKey]:
        return [ObjectKey("", namespace_of(obj))] if name_of(obj) == self.wanted_name else []

    def wanted(self) -> Object:
        """The object, without its namespace."""
        raise NotImplementedError

    async def reconcile(self, key: ObjectKey) -> float | None:
        namespace = self.namespaces.get(key)
        if namespace is None or not is_active(namespace):
            return None
        wanted = self.wanted()
        wanted["metadata"]["namespace"] = key.name
        present = self.objects.get(key_of(wanted))
        if present is None:
            await self.writes.create(self.resource, wanted)
        elif any(present.get(field) != value for field, value in wanted.items() if field != "metadata"):
            content = {field: value for field, value in wanted.items() if field != "metadata"}
            await self.writes.update(self.resource, {**present, **content})
        return None
