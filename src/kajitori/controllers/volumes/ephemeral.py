"""Claims for pods' generic ephemeral volumes: made for the pod, owned by it, gone with it."""

import copy
from collections.abc import Iterable

from kajitori.api.core import PERSISTENT_VOLUME_CLAIM, POD
from kajitori.api.errors import AlreadyExists
from kajitori.api.meta import (
    Object,
    ObjectKey,
    controller_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped


def make_claims(pod: Object) -> list[Object]:
    claims = []
    for volume in pod["spec"].get("volumes") or ():
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        meta = template.get("metadata") or {}
        claims.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": f"{name_of(pod)}-{volume['name']}",
                    "namespace": namespace_of(pod),
                    "labels": dict(meta.get("labels") or {}),
                    "annotations": dict(meta.get("annotations") or {}),
                    "ownerReferences": [owner_reference(pod)],
                },
                "spec": copy.deepcopy(template["spec"]),
            }
        )
    return claims


class EphemeralVolumeController(Controller):
    name = "ephemeral-volume-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.pods = context.informer(POD)
        self.claims = context.informer(PERSISTENT_VOLUME_CLAIM)
        self.events = context.recorder("ephemeral_volume")

    def sources(self) -> Iterable[Source]:
        return (
            mapped(POD, lambda pod: [key_of(pod)] if make_claims(pod) else [], changed=lambda new, old: False),
            mapped(PERSISTENT_VOLUME_CLAIM, _pod_of, changed=lambda new, old: False),
        )

    async def reconcile(self, key: ObjectKey) -> float | None:
        pod = self.pods.get(key)
        if pod is None or is_deleting(pod):
            return None
        for wanted in make_claims(pod):
            present = self.claims.get(key_of(wanted))
            if present is None:
                await self.writes.create(PERSISTENT_VOLUME_CLAIM, wanted)
            elif (controller_of(present) or {}).get("uid") != uid_of(pod):
                message = f"PVC {key_of(present)} was not created for pod {key} (pod is not owner)"
                self.events.event(pod, "Warning", "FailedBinding", message)
                raise AlreadyExists(message)
        return None


def _pod_of(claim: Object) -> list[ObjectKey]:
    owner = controller_of(claim)
    return [ObjectKey(namespace_of(claim), owner["name"])] if owner and owner["kind"] == "Pod" else []
