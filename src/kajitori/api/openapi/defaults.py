"""What a field of a built-in kind is when nobody says it, as version 3 publishes it: what Go writes of an empty field
that cannot be left out, and what is declared otherwise. Version 2 says none of it."""

from typing import Any

from kajitori.api.meta import Object
from kajitori.api.schema.definitions import go_shapes

_CORE, _META = "io.k8s.api.core.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1."
_REFERENCE = f"{_CORE}LocalObjectReference"
_RBD = {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}
_SCALE_IO = {"fsType": "xfs", "storageMode": "ThinProvisioned"}
_DECLARED: dict[str, dict[str, Any]] = {
    _REFERENCE: {"name": ""},
    f"{_CORE}AzureDiskVolumeSource": {
        "cachingMode": "ReadWrite",
        "fsType": "ext4",
        "kind": "Shared",
        "readOnly": False,
    },
    f"{_CORE}ContainerPort": {"protocol": "TCP"},
    f"{_CORE}FileKeySelector": {"optional": False},
    f"{_CORE}GRPCAction": {"service": ""},
    f"{_CORE}ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    f"{_CORE}ISCSIVolumeSource": {"iscsiInterface": "default"},
    f"{_CORE}RBDPersistentVolumeSource": _RBD,
    f"{_CORE}RBDVolumeSource": _RBD,
    f"{_CORE}ReplicationControllerSpec": {"minReadySeconds": 0, "replicas": 1},
    f"{_CORE}ScaleIOPersistentVolumeSource": _SCALE_IO,
    f"{_CORE}ScaleIOVolumeSource": _SCALE_IO,
    f"{_CORE}ServicePort": {"protocol": "TCP"},
    "io.k8s.api.autoscaling.v1.ScaleSpec": {"replicas": 0},
    "io.k8s.api.resource.v1.ResourceClaimConsumerReference": {"uid": ""},
    "io.k8s.api.resource.v1.DeviceToleration": {"operator": "Equal"},
    f"{_META}OwnerReference": {"uid": ""},
    f"{_META}WatchEvent": {"type": ""},
    "io.k8s.apimachinery.pkg.version.Info": dict.fromkeys(
        (
            "buildDate",
            "compiler",
            "gitCommit",
            "gitTreeState",
            "gitVersion",
            "goVersion",
            "major",
            "minor",
            "platform",
        ),
        "",
    ),
}
_WRITE_THEMSELVES = (
    "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    f"{_META}MicroTime",
    f"{_META}Time",
)


def with_defaults(name: str, document: Object) -> Object:
    """The version 3 definition with its fields' defaults."""
    shapes = go_shapes().get(name, {})
    declared = _DECLARED.get(name, {})
    embedded = _DECLARED[_REFERENCE] if "LocalObjectReference" in shapes.get("embedded", {}).values() else {}
    written = shapes.get("always", {})
    for field, schema in document.get("properties", {}).items():
        value = declared.get(field, embedded.get(field))
        if value is None and not _has_none(schema):
            value = written.get(field)
        if value is not None:
            schema["default"] = value
            if "$ref" in schema:
                schema["allOf"] = [{"$ref": schema.pop("$ref")}]
    return document


def _has_none(schema: Object) -> bool:
    """Lists and maps have none, and what decides itself how it is written."""
    pointers = (str(pointer.get("$ref", "")) for pointer in (schema, *schema.get("allOf", ())))
    return schema.get("type") in ("array", "object") or any(pointer.endswith(_WRITE_THEMSELVES) for pointer in pointers)
