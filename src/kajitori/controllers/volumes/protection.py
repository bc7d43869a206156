"""Claims that pods use, volumes that are bound, and classes of attributes that either names stay until they are free,
whoever deletes them (finalizers)."""

from collections.abc import Iterable

from kajitori.api.core import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kajitori.api.meta import Object, ObjectKey, is_deleting, name_of, namespace_of
from kajitori.api.pods import is_terminal, node_name
from kajitori.api.resource import Resource
from kajitori.api.storage import VOLUME_ATTRIBUTES_CLASS
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
ATTRIBUTES_FINALIZER = "kubernetes.io/vac-protection"
BY_CLAIM, BY_ATTRIBUTES = "claims of pod", "classes of attributes"


def claims_of(pod: Object) -> list[ObjectKey]:
    """What its volumes use; an ephemeral volume's claim is named after pod and volume."""
    names = []
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("ephemeral"):
            names.append(f"{name_of(pod)}-{volume['name']}")
    return [ObjectKey(namespace_of(pod), name) for name in names]


def claim_values(pod: Object) -> list[str]:
    return [str(key) for key in claims_of(pod)]


class _Protection(Controller):
    resource: Resource
    finalizer: str

    def in_use(self, obj: Object) -> bool:
        raise NotImplementedError

    async def reconcile(self, key: ObjectKey) -> float | None:
        obj = self.context.get(self.resource, key)
        if obj is None:
            return None
        finalizers = list(obj["metadata"].get("finalizers") or ())
        held = self.finalizer in finalizers
        if not is_deleting(obj) and not held:
            await self._set(obj, [*finalizers, self.finalizer])
        elif is_deleting(obj) and held and not self.in_use(obj):
            await self._set(obj, [f for f in finalizers if f != self.finalizer])
        return None

    async def _set(self, obj: Object, finalizers: list[str]) -> None:
        meta = {"finalizers": finalizers or None, "resourceVersion": obj["metadata"]["resourceVersion"]}
        await self.writes.patch(self.resource, obj, {"metadata": meta})


class ClaimProtection(_Protection):
    name = "pvc-protection-controller"
    resource = PERSISTENT_VOLUME_CLAIM
    finalizer = CLAIM_FINALIZER

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.informer(PERSISTENT_VOLUME_CLAIM)
        self.pods = context.informer(POD)
        self.pods.add_index(BY_CLAIM, claim_values)

    def sources(self) -> Iterable[Source]:
        return (
            own(PERSISTENT_VOLUME_CLAIM),
            mapped(POD, claims_of, changed=lambda new, old: is_terminal(new) != is_terminal(old)),
        )

    def in_use(self, obj: Object) -> bool:
        """A pod that no node has may be forgotten: its kubelet will refuse a claim that is being deleted."""
        users = self.pods.by_index(BY_CLAIM, f"{namespace_of(obj)}/{name_of(obj)}")
        return any(node_name(pod) and not is_terminal(pod) for pod in users)


class VolumeProtection(_Protection):
    name = "pv-protection-controller"
    resource = PERSISTENT_VOLUME
    finalizer = VOLUME_FINALIZER

    def sources(self) -> Iterable[Source]:
        return (own(PERSISTENT_VOLUME),)

    def in_use(self, obj: Object) -> bool:
        return bool((obj.get("status") or {}).get("phase") == "Bound")


def attributes_of(holder: Object) -> list[str]:
    """The classes of attributes that a claim or volume has, had until a change ends, or wants."""
    spec, status = holder.get("spec") or {}, holder.get("status") or {}
    wanted = (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    names = (spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"), wanted)
    return [name for name in dict.fromkeys(names) if name]


def _attributes_keys(holder: Object) -> list[ObjectKey]:
    return [ObjectKey("", name) for name in attributes_of(holder)]


class AttributesProtection(_Protection):
    name = "volumeattributesclass-protection-controller"
    resource = VOLUME_ATTRIBUTES_CLASS
    finalizer = ATTRIBUTES_FINALIZER

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        context.informer(VOLUME_ATTRIBUTES_CLASS)
        self.holders = [context.informer(resource) for resource in (PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME)]
        for holder in self.holders:
            holder.add_index(BY_ATTRIBUTES, attributes_of)

    def sources(self) -> Iterable[Source]:
        return (
            own(VOLUME_ATTRIBUTES_CLASS),
            *(mapped(resource, _attributes_keys) for resource in (PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME)),
        )

    def in_use(self, obj: Object) -> bool:
        return any(holder.by_index(BY_ATTRIBUTES, name_of(obj)) for holder in self.holders)
