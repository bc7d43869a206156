"""The local-path provisioner: a directory on the node of the pod as a PersistentVolume. Contract: `api.local_path`."""

from collections.abc import Iterable

from kajitori.api import local_path
from kajitori.api.core import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, labels_of, name_of, namespace_of, uid_of
from kajitori.api.storage import STORAGE_CLASS
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped
from kajitori.controllers.volumes.matching import class_of, requested, selected_node, waits_for_consumer
from kajitori.controllers.volumes.protection import VOLUME_FINALIZER

HOSTNAME_LABEL = "kubernetes.io/hostname"
# Keys of this loop: a claim by its own key, a volume under a namespace that no claim can have.
VOLUMES = "//volumes"


def make_volume(claim: Object, storage_class: Object, node: Object, volumes_dir: str) -> Object:
    name = f"pvc-{uid_of(claim)}"
    hostname = labels_of(node).get(HOSTNAME_LABEL, name_of(node))
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {
                local_path.PROVISIONED_BY_ANNOTATION: local_path.PROVISIONER,
                local_path.NODE_ANNOTATION: name_of(node),
            },
            "finalizers": [VOLUME_FINALIZER, local_path.CLEANUP_FINALIZER],
        },
        "spec": {
            "capacity": {"storage": requested(claim)},
            "accessModes": list(claim["spec"].get("accessModes") or ()),
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": name_of(storage_class),
            "volumeMode": "Filesystem",
            "hostPath": {"path": local_path.directory(volumes_dir, name), "type": "DirectoryOrCreate"},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": HOSTNAME_LABEL, "operator": "In", "values": [hostname]}]}
                    ]
                }
            },
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": namespace_of(claim),
                "name": name_of(claim),
                "uid": uid_of(claim),
            },
        },
    }


def unsupported(claim: Object) -> str:
    """Why no directory can be this claim's volume; "" when one can."""
    if claim["spec"].get("volumeMode") == "Block":
        return "a directory cannot be a block device: use volumeMode Filesystem"
    if claim["spec"].get("selector"):
        return "claim.spec.selector is not supported: remove it, or make the volume by hand"
    shared = {"ReadWriteMany", "ReadOnlyMany"} & set(claim["spec"].get("accessModes") or ())
    if shared:
        return f"a directory belongs to one node, so {', '.join(sorted(shared))} cannot be had: use ReadWriteOnce"
    return ""


class LocalPathProvisioner(Controller):
    name = local_path.PROVISIONER

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.claims = context.informer(PERSISTENT_VOLUME_CLAIM)
        self.volumes = context.informer(PERSISTENT_VOLUME)
        self.classes = context.informer(STORAGE_CLASS)
        self.nodes = context.informer(NODE)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (
            mapped(PERSISTENT_VOLUME_CLAIM, lambda c: [] if c["spec"].get("volumeName") else [key_of(c)]),
            mapped(STORAGE_CLASS, self._waiting),
            mapped(PERSISTENT_VOLUME, _volume_key),
            # Directories of a node that left the cluster are out of reach; so are claims that chose it.
            mapped(NODE, self._on_node, changed=lambda new, old: False),
        )

    def _waiting(self, storage_class: Object) -> list[ObjectKey]:
        claims = self.claims.list()
        return [key_of(c) for c in claims if not c["spec"].get("volumeName") and class_of(c) == name_of(storage_class)]

    def _on_node(self, node: Object) -> list[ObjectKey]:
        kept = [ObjectKey(VOLUMES, name_of(v)) for v in self.volumes.list() if local_path.node_of(v) == name_of(node)]
        return kept + [key_of(c) for c in self.claims.list() if not c["spec"].get("volumeName")]

    async def reconcile(self, key: ObjectKey) -> float | None:
        if key.namespace == VOLUMES:
            volume = self.volumes.get(ObjectKey("", key.name))
            if volume is not None:
                await self._reclaim(volume)
            return None
        claim = self.claims.get(key)
        if claim is not None and not claim["spec"].get("volumeName") and not is_deleting(claim):
            await self._provision(claim)
        return None

    async def _provision(self, claim: Object) -> None:
        storage_class = self.classes.get(ObjectKey("", class_of(claim)))
        if storage_class is None or storage_class.get("provisioner") != local_path.PROVISIONER:
            return
        node = self._node_for(claim, storage_class)
        if node is None:
            return
        why = unsupported(claim)
        if why:
            message = f'failed to provision volume with StorageClass "{name_of(storage_class)}": {why}'
            self.events.event(claim, "Warning", "ProvisioningFailed", message)
            return
        volume = make_volume(claim, storage_class, node, self.context.settings.volumes_dir)
        if self.volumes.get(key_of(volume)) is not None:
            return
        await self.writes.create(PERSISTENT_VOLUME, volume)
        message = f"Successfully provisioned volume {name_of(volume)}"
        self.events.event(claim, "Normal", "ProvisioningSucceeded", message)

    def _node_for(self, claim: Object, storage_class: Object) -> Object | None:
        chosen = selected_node(claim)
        if chosen:
            return self.nodes.get(ObjectKey("", chosen))
        if waits_for_consumer(storage_class):
            return None
        return min(self.nodes.list(), key=name_of, default=None)

    async def _reclaim(self, volume: Object) -> None:
        if not local_path.is_local_path(volume):
            return
        released = (volume.get("status") or {}).get("phase") == "Released"
        if released and not is_deleting(volume) and local_path.removes_data(volume):
            await self.writes.delete(PERSISTENT_VOLUME, volume)
        elif local_path.awaits_cleanup(volume, local_path.node_of(volume)) and not self._node_exists(volume):
            meta = {"finalizers": None, "resourceVersion": volume["metadata"]["resourceVersion"]}
            await self.writes.patch(PERSISTENT_VOLUME, volume, {"metadata": meta})

    def _node_exists(self, volume: Object) -> bool:
        return self.nodes.get(ObjectKey("", local_path.node_of(volume))) is not None


def _volume_key(volume: Object) -> list[ObjectKey]:
    return [ObjectKey(VOLUMES, name_of(volume))] if local_path.is_local_path(volume) else []
