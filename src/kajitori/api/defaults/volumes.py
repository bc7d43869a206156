"""Defaults of volumes, persistent volumes and their claims, storage classes and CSI."""

from collections.abc import Mapping
from typing import Any

from kajitori.api.defaults.filling import each, fill, fill_zero, part, round_amounts
from kajitori.api.images import default_pull_policy
from kajitori.api.meta import Object

FILE_MODE = 0o644

# source -> what it gets when absent, and what it gets when absent or zero
_SOURCE_DEFAULTS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "secret": ({"defaultMode": FILE_MODE}, {}),
    "configMap": ({"defaultMode": FILE_MODE}, {}),
    "downwardAPI": ({"defaultMode": FILE_MODE}, {}),
    "projected": ({"defaultMode": FILE_MODE}, {}),
    "hostPath": ({"type": ""}, {}),
    "iscsi": ({}, {"iscsiInterface": "default"}),
    "rbd": ({}, {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),
    "azureDisk": ({"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False}, {}),
    "scaleIO": ({}, {"storageMode": "ThinProvisioned", "fsType": "xfs"}),
}


def default_field_reference(reference: Object) -> None:
    fill_zero(reference, apiVersion="v1")


_NOT_YET_PROJECTED = ("clusterTrustBundle", "podCertificate")
"""What v1.36 has switched off: dropped as if it had not been said."""


def default_volume(volume: Object) -> None:
    """A volume of a pod; without any source it is an emptyDir."""
    if not any(value is not None for key, value in volume.items() if key != "name"):
        volume["emptyDir"] = {}
    _default_source(volume)
    if (image := volume.get("image")) is not None:
        fill_zero(image, pullPolicy=default_pull_policy(image.get("reference") or ""))
    _default_downward_items(volume.get("downwardAPI"))
    for source in each(volume.get("projected") or {}, "sources"):
        _default_downward_items(source.get("downwardAPI"))
        for field in _NOT_YET_PROJECTED:
            source.pop(field, None)
        if (token := source.get("serviceAccountToken")) is not None:
            fill(token, expirationSeconds=3600)
    if (ephemeral := volume.get("ephemeral")) is not None and ephemeral.get("volumeClaimTemplate") is not None:
        default_claim_spec(part(ephemeral, "volumeClaimTemplate", "spec"))
        part(ephemeral, "volumeClaimTemplate", "metadata")


def default_claim_spec(spec: Object) -> None:
    fill(spec, volumeMode="Filesystem", resources={})
    round_amounts(spec["resources"], "limits", "requests")


def default_claim(claim: Object) -> None:
    default_claim_spec(part(claim, "spec"))
    fill_zero(part(claim, "status"), phase="Pending")


def prepare_claim(claim: Object) -> None:
    claim["status"] = {"phase": "Pending"}
    _settle_data_source(claim["spec"])


def default_volume_of_cluster(volume: Object) -> None:
    spec = part(volume, "spec")
    fill_zero(spec, persistentVolumeReclaimPolicy="Retain")
    fill(spec, volumeMode="Filesystem")
    round_amounts(spec, "capacity")
    _default_source(spec)
    fill_zero(part(volume, "status"), phase="Pending")


_KNOWN_DATA = {("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")}
"""Sources that `dataSource` has always allowed; others go silently, and into `dataSourceRef` if anywhere (KEP-1495)."""


def _settle_data_source(spec: Object) -> None:
    reference = spec.get("dataSourceRef")
    if reference is not None and reference.get("namespace"):  # of other namespaces: not yet
        del spec["dataSourceRef"]
        reference = None
    source = spec.get("dataSource")
    if source is not None and reference is None:
        if (source.get("apiGroup") or "", source.get("kind")) in _KNOWN_DATA:
            spec["dataSourceRef"] = dict(source)
        else:
            del spec["dataSource"]
    elif reference is not None and source is None:
        spec["dataSource"] = dict(reference)


def prepare_volume_of_cluster(volume: Object) -> None:
    status: Object = {"phase": "Pending"}
    if created := volume["metadata"].get("creationTimestamp"):
        status["lastPhaseTransitionTime"] = created
    volume["status"] = status


def default_storage_class(storage_class: Object) -> None:
    fill(storage_class, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def default_csi_driver(driver: Object) -> None:
    spec = part(driver, "spec")
    fill(
        spec,
        attachRequired=True,
        podInfoOnMount=False,
        storageCapacity=False,
        requiresRepublish=False,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        seLinuxMount=False,
    )
    fill_zero(spec, volumeLifecycleModes=["Persistent"])


def prepare_attachment(attachment: Object) -> None:
    attachment["status"] = {"attached": False}


def _default_source(holder: Object) -> None:
    for source, (absent, zero) in _SOURCE_DEFAULTS.items():
        if (found := holder.get(source)) is not None:
            fill(found, **absent)
            fill_zero(found, **zero)


def _default_downward_items(downward: Object | None) -> None:
    for item in each(downward or {}, "items"):
        if (reference := item.get("fieldRef")) is not None:
            default_field_reference(reference)
        if (reference := item.get("resourceFieldRef")) is not None:
            fill(reference, divisor="0")
