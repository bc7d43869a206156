"""How volumes, claims, storage classes and CSI show."""

from collections.abc import Sequence

from kajitori.api.columns.cells import AGE, NAME, UNSET, at, column, joined
from kajitori.api.meta import Object, is_deleting
from kajitori.api.resource import Column

_ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_DEFAULT_CLASS_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def _access_modes(modes: Sequence[str]) -> str:
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in modes)


def _phase(obj: Object) -> str:
    return "Terminating" if is_deleting(obj) else str(at(obj, "status.phase", ""))


def _storage_class_of(obj: Object) -> str:
    annotated = (obj["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
    return str(annotated if annotated is not None else at(obj, "spec.storageClassName", ""))


def _when_bound(claim: Object, value: str) -> str:
    return value if at(claim, "spec.volumeName") else ""


CLAIM = (
    NAME,
    column("Status", _phase),
    column("Volume", "spec.volumeName"),
    column("Capacity", lambda obj: _when_bound(obj, at(obj, "status.capacity", {}).get("storage", "0"))),
    column("Access Modes", lambda obj: _when_bound(obj, _access_modes(at(obj, "status.accessModes", ())))),
    column("StorageClass", _storage_class_of),
    column("VolumeAttributesClass", "spec.volumeAttributesClassName", default=UNSET),
    AGE,
    column("VolumeMode", "spec.volumeMode", default=UNSET, wide=True),
)


def _claim_of(volume: Object) -> str:
    claim = at(volume, "spec.claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


VOLUME = (
    NAME,
    column("Capacity", lambda obj: at(obj, "spec.capacity", {}).get("storage", "0")),
    column("Access Modes", lambda obj: _access_modes(at(obj, "spec.accessModes", ()))),
    column("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
    column("Status", _phase),
    column("Claim", _claim_of),
    column("StorageClass", _storage_class_of),
    column("VolumeAttributesClass", "spec.volumeAttributesClassName", default=UNSET),
    column("Reason", "status.reason"),
    AGE,
    column("VolumeMode", "spec.volumeMode", default=UNSET, wide=True),
)


def is_default_class(storage_class: Object) -> bool:
    """Whether claims that name no class get this one."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return any(annotations.get(key) == "true" for key in _DEFAULT_CLASS_ANNOTATIONS)


def _class_name(storage_class: Object) -> str:
    name = str(storage_class["metadata"].get("name", ""))
    return f"{name} (default)" if is_default_class(storage_class) else name


STORAGE_CLASS = (
    Column(name="Name", cell=lambda obj, _: _class_name(obj), format="name"),
    column("Provisioner", "provisioner"),
    column("ReclaimPolicy", "reclaimPolicy", default="Delete"),
    column("VolumeBindingMode", "volumeBindingMode", default="Immediate"),
    column("AllowVolumeExpansion", "allowVolumeExpansion", default=False),
    AGE,
)

ATTACHMENT = (
    NAME,
    Column(name="Attacher", cell=lambda obj, _: at(obj, "spec.attacher", ""), format="name"),
    column("PV", "spec.source.persistentVolumeName"),
    column("Node", "spec.nodeName"),
    column("Attached", "status.attached", type="boolean", default=False),
    AGE,
)


def _token_requests(driver: Object) -> str:
    return joined((r.get("audience", "") for r in at(driver, "spec.tokenRequests", ())), empty=UNSET)


CSI_DRIVER = (
    NAME,
    column("AttachRequired", "spec.attachRequired", type="boolean", default=True),
    column("PodInfoOnMount", "spec.podInfoOnMount", type="boolean", default=False),
    column("StorageCapacity", "spec.storageCapacity", type="boolean", default=False),
    column("TokenRequests", _token_requests),
    column("RequiresRepublish", "spec.requiresRepublish", type="boolean", default=False),
    column("Modes", lambda obj: joined(at(obj, "spec.volumeLifecycleModes", ()), empty=UNSET)),
    AGE,
)

CSI_NODE = (NAME, column("Drivers", lambda obj: len(at(obj, "spec.drivers", ())), type="integer"), AGE)
ATTRIBUTES_CLASS = (NAME, column("DriverName", "driverName"), AGE)
