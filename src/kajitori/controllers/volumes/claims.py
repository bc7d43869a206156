"""Binding claims to volumes."""

from collections.abc import Iterable

from kajitori.api.core import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kajitori.api.meta import Object, ObjectKey, annotations_of, is_deleting, key_of, name_of, namespace_of, uid_of
from kajitori.api.storage import STORAGE_CLASS
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.volumes.matching import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    class_of,
    find,
    mismatch,
    refers_to,
    selected_node,
    waits_for_consumer,
)

PROVISIONER_ANNOTATIONS = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
NO_PROVISIONER = "kubernetes.io/no-provisioner"


class ClaimBinder(Controller):
    """One worker: two claims that look for a volume at once would only conflict."""

    name = "persistentvolume-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.claims = context.informer(PERSISTENT_VOLUME_CLAIM)
        self.volumes = context.informer(PERSISTENT_VOLUME)
        self.classes = context.informer(STORAGE_CLASS)
        self.nodes = context.informer(NODE)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (
            own(PERSISTENT_VOLUME_CLAIM),
            mapped(PERSISTENT_VOLUME, self._interested),
            mapped(STORAGE_CLASS, lambda c: [key_of(p) for p in self._unbound() if class_of(p) == name_of(c)]),
        )

    def _unbound(self) -> list[Object]:
        return [claim for claim in self.claims.list() if not claim["spec"].get("volumeName")]

    def _interested(self, volume: Object) -> list[ObjectKey]:
        """The claim it is bound to or reserved for; for a free one, all that are looking."""
        ref = volume["spec"].get("claimRef")
        if ref:
            return [ObjectKey(ref.get("namespace", ""), ref["name"])]
        naming = [key_of(c) for c in self.claims.list() if c["spec"].get("volumeName") == name_of(volume)]
        return naming + [key_of(c) for c in self._unbound() if class_of(c) == class_of(volume)]

    async def reconcile(self, key: ObjectKey) -> float | None:
        claim = self.claims.get(key)
        if claim is None:
            return None
        if BIND_COMPLETED in annotations_of(claim):
            await self._keep_bound(claim)
        elif claim["spec"].get("volumeName"):
            await self._bind_named(claim)
        elif not is_deleting(claim):
            await self._look_for_volume(claim)
        return None

    async def _keep_bound(self, claim: Object) -> None:
        volume = self.volumes.get(ObjectKey("", claim["spec"].get("volumeName") or ""))
        if volume is None:
            await self._lose(
                claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            )
        elif volume["spec"].get("claimRef") is None or refers_to(volume, claim):
            await self._bind(claim, volume)
        else:
            message = "Bound claim has lost its PersistentVolume. The volume is bound to another claim."
            await self._lose(claim, "ClaimMisbound", message)

    async def _lose(self, claim: Object, reason: str, message: str) -> None:
        if (claim.get("status") or {}).get("phase") != "Lost":
            self.events.event(claim, "Warning", reason, message)
            await self.writes.update_status(PERSISTENT_VOLUME_CLAIM, claim, {"phase": "Lost"})

    async def _bind_named(self, claim: Object) -> None:
        """The user chose the volume."""
        volume = self.volumes.get(ObjectKey("", claim["spec"]["volumeName"]))
        if volume is None:
            await self._pend(claim)
        elif volume["spec"].get("claimRef") is not None and not refers_to(volume, claim):
            message = f'volume "{name_of(volume)}" already bound to a different claim.'
            self.events.event(claim, "Warning", "FailedBinding", message)
            await self._pend(claim)
        elif volume["spec"].get("claimRef") is None and (why := mismatch(volume, claim)):
            message = f'Cannot bind to requested volume "{name_of(volume)}": {why}'
            self.events.event(claim, "Warning", "VolumeMismatch", message)
            await self._pend(claim)
        else:
            await self._bind(claim, volume)

    async def _look_for_volume(self, claim: Object) -> None:
        storage_class = self.classes.get(ObjectKey("", class_of(claim)))
        node_name = selected_node(claim)
        node = self.nodes.get(ObjectKey("", node_name)) if node_name else None
        volumes = self.volumes.list()
        if waits_for_consumer(storage_class) and not node_name:
            # Which volume suits depends on where the pod will run; only a reservation decides earlier.
            volumes = [v for v in volumes if refers_to(v, claim)]
        volume = find(claim, volumes, node)
        if volume is not None:
            await self._bind(claim, volume)
            return
        if not class_of(claim):
            message = "no persistent volumes available for this claim and no storage class is set"
            self.events.event(claim, "Normal", "FailedBinding", message)
        elif storage_class is None:
            message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self.events.event(claim, "Warning", "ProvisioningFailed", message)
        elif waits_for_consumer(storage_class) and not node_name:
            message = "waiting for first consumer to be created before binding"
            self.events.event(claim, "Normal", "WaitForFirstConsumer", message)
        else:
            claim = await self._ask_provisioner(claim, str(storage_class["provisioner"]))
        await self._pend(claim)

    async def _ask_provisioner(self, claim: Object, provisioner: str) -> Object:
        if provisioner == NO_PROVISIONER:
            message = "no volume plugin matched name: kubernetes.io/no-provisioner"
            self.events.event(claim, "Normal", "FailedBinding", message)
            return claim
        wanted = dict.fromkeys(PROVISIONER_ANNOTATIONS, provisioner)
        if not wanted.items() <= annotations_of(claim).items():
            claim = await self.writes.patch(PERSISTENT_VOLUME_CLAIM, claim, {"metadata": {"annotations": wanted}})
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self.events.event(claim, "Normal", "ExternalProvisioning", message)
        return claim

    async def _pend(self, claim: Object) -> None:
        if (claim.get("status") or {}).get("phase") != "Pending":
            status = {**(claim.get("status") or {}), "phase": "Pending"}
            await self.writes.update_status(PERSISTENT_VOLUME_CLAIM, claim, status)

    async def _bind(self, claim: Object, volume: Object) -> None:
        """Volume first, claim second: whichever step is lost, the next round takes up from there."""
        volume = await self._bind_volume(claim, volume)
        annotations = {BIND_COMPLETED: "yes"}
        if not claim["spec"].get("volumeName"):
            annotations[BOUND_BY_CONTROLLER] = "yes"
        if BIND_COMPLETED not in annotations_of(claim) or not claim["spec"].get("volumeName"):
            meta = {"annotations": annotations, "resourceVersion": claim["metadata"]["resourceVersion"]}
            patch = {"metadata": meta, "spec": {"volumeName": name_of(volume)}}
            claim = await self.writes.patch(PERSISTENT_VOLUME_CLAIM, claim, patch)
        status = {
            **(claim.get("status") or {}),
            "phase": "Bound",
            "accessModes": list(volume["spec"].get("accessModes") or ()),
        }
        if "capacity" not in status or status.get("phase") != (claim.get("status") or {}).get("phase"):
            status["capacity"] = dict(volume["spec"].get("capacity") or {})
        attributes = volume["spec"].get("volumeAttributesClassName")
        if attributes and (claim.get("status") or {}).get("phase") in (None, "Pending"):
            status["currentVolumeAttributesClassName"] = attributes  # at binding only: afterwards it is the resizer's
        await self.writes.update_status(PERSISTENT_VOLUME_CLAIM, claim, status)

    async def _bind_volume(self, claim: Object, volume: Object) -> Object:
        ref = volume["spec"].get("claimRef")
        if ref is None or ref.get("uid", "") != uid_of(claim):
            full = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
                "resourceVersion": claim["metadata"]["resourceVersion"],
            }
            annotations = {} if ref else {BOUND_BY_CONTROLLER: "yes"}
            meta = {"annotations": annotations, "resourceVersion": volume["metadata"]["resourceVersion"]}
            volume = await self.writes.patch(PERSISTENT_VOLUME, volume, {"metadata": meta, "spec": {"claimRef": full}})
        return volume
