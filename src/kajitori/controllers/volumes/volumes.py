"""The life of a PersistentVolume: available, bound, released, and what then becomes of it."""

from collections.abc import Iterable

from kajitori.api.core import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kajitori.api.errors import NotFound
from kajitori.api.local_path import PROVISIONED_BY_ANNOTATION
from kajitori.api.meta import Object, ObjectKey, annotations_of, is_deleting, name_of, uid_of
from kajitori.api.times import timestamp
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped, own
from kajitori.controllers.volumes.matching import BOUND_BY_CONTROLLER


class VolumeController(Controller):
    name = "persistentvolume-binder-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.volumes = context.informer(PERSISTENT_VOLUME)
        self.claims = context.informer(PERSISTENT_VOLUME_CLAIM)
        self.events = context.recorder("persistentvolume-controller")

    def sources(self) -> Iterable[Source]:
        return (own(PERSISTENT_VOLUME), mapped(PERSISTENT_VOLUME_CLAIM, _volume_of))

    async def reconcile(self, key: ObjectKey) -> float | None:
        volume = self.volumes.get(key)
        if volume is None:
            return None
        ref = volume["spec"].get("claimRef")
        if not ref or not ref.get("uid"):
            await self._set_phase(volume, "Available")
            return None
        claim = await self._claim(ref)
        if claim is None:
            await self._release(volume)
        elif claim["spec"].get("volumeName") == name_of(volume):
            await self._set_phase(volume, "Bound")
        elif claim["spec"].get("volumeName"):
            await self._give_back(volume)
        return None

    async def _claim(self, ref: Object) -> Object | None:
        """The claim that the volume is bound to; asks the server before believing that it is gone."""
        claim = self.claims.get(ObjectKey(ref["namespace"], ref["name"]))
        if claim is None or uid_of(claim) != ref["uid"]:
            try:
                claim = await self.client.get(PERSISTENT_VOLUME_CLAIM, ref["name"], ref["namespace"])
            except NotFound:
                return None
        return claim if uid_of(claim) == ref["uid"] else None

    async def _give_back(self, volume: Object) -> None:
        """The claim chose another volume: undo what this loop did, keep what a user reserved."""
        if annotations_of(volume).get(BOUND_BY_CONTROLLER) and not annotations_of(volume).get(
            PROVISIONED_BY_ANNOTATION
        ):
            patch = {
                "metadata": {"annotations": {BOUND_BY_CONTROLLER: None}},
                "spec": {"claimRef": None},
            }
            volume = await self.writes.patch(PERSISTENT_VOLUME, volume, patch)
            await self._set_phase(volume, "Available")
        else:
            await self._release(volume)

    async def _release(self, volume: Object) -> None:
        status = volume.get("status") or {}
        if status.get("phase") not in ("Released", "Failed"):
            volume = await self._set_phase(volume, "Released")
        policy = volume["spec"].get("persistentVolumeReclaimPolicy") or "Retain"
        if is_deleting(volume) or status.get("phase") == "Failed" or policy == "Retain":
            return
        if policy == "Delete" and annotations_of(volume).get(PROVISIONED_BY_ANNOTATION):
            # Its provisioner sees that it is released, and removes it.
            return
        reason, act = (
            ("VolumeFailedDelete", "deletable") if policy == "Delete" else ("VolumeFailedRecycle", "recyclable")
        )
        message = f'no {act} volume plugin matched for volume "{name_of(volume)}"'
        self.events.event(volume, "Warning", reason, message)
        await self._set_phase(volume, "Failed", message)

    async def _set_phase(self, volume: Object, phase: str, message: str = "") -> Object:
        old = volume.get("status") or {}
        if old.get("phase") == phase:
            return volume
        status: Object = {"phase": phase, "lastPhaseTransitionTime": timestamp(self.clock.now())}
        if message:
            status["message"] = message
        return await self.writes.update_status(PERSISTENT_VOLUME, volume, status)


def _volume_of(claim: Object) -> list[ObjectKey]:
    name = claim["spec"].get("volumeName")
    return [ObjectKey("", name)] if name else []
