"""Volumes, claims and their classes."""

from collections.abc import Iterator

from kajitori.api import quantity
from kajitori.api.meta import Object
from kajitori.api.warnings.placement import deprecated_label, selector_warnings, term_warnings

GONE = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
"""Kinds of volumes that nothing serves any more."""

_GONE_OF_CLUSTER = ("cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd")
_SPELT = {"storageos": "storageOS"}
_CLASS = "volume.beta.kubernetes.io/storage-class"
_CLASS_GONE = 'deprecated since v1.8; use "storageClassName" attribute instead'
_VOLUME_ANNOTATIONS = {
    _CLASS: _CLASS_GONE,
    "volume.beta.kubernetes.io/mount-options": 'deprecated since v1.31; use "mountOptions" attribute instead',
}


def gone(path: str, kind: str) -> str:
    return f"{path}.{_SPELT.get(kind, kind)}: {GONE[kind]}"


def fraction_warning(path: str, amounts: Object | None, name: str) -> Iterator[str]:
    """Bytes do not come in parts."""
    value = (amounts or {}).get(name)
    if value is not None and quantity.milli(value) % 1000:
        shown = quantity.canonical(value)
        yield f'{path}[{name}]: fractional byte value "{shown}" is invalid, must be an integer'


def claim_spec_warnings(path: str, spec: Object) -> Iterator[str]:
    resources = spec.get("resources") or {}
    for group in ("requests", "limits"):
        yield from fraction_warning(f"{path}.resources.{group}", resources.get(group), "storage")


def claim_warnings(new: Object, old: Object | None) -> list[str]:
    found = []
    if _CLASS in (new["metadata"].get("annotations") or ()):
        found.append(f"metadata.annotations[{_CLASS}]: {_CLASS_GONE}")
    return [*found, *claim_spec_warnings("spec", new.get("spec") or {})]


def volume_warnings(new: Object, old: Object | None) -> list[str]:
    """Of a PersistentVolume."""
    return list(_volume_warnings(new))


def _volume_warnings(volume: Object) -> Iterator[str]:
    annotations, spec = volume["metadata"].get("annotations") or (), volume.get("spec") or {}
    for key, why in _VOLUME_ANNOTATIONS.items():
        if key in annotations:
            yield f"metadata.annotations[{key}]: {why}"
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended "
            "approach is to use dynamic provisioning."
        )
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    for index, term in enumerate(terms):
        yield from term_warnings(f"spec.nodeAffinity.required.nodeSelectorTerms[{index}]", term)
    for kind in _GONE_OF_CLUSTER:
        if spec.get(kind) is not None:
            yield gone("spec", kind)


def storage_class_warnings(new: Object, old: Object | None) -> list[str]:
    return [
        f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {why}"
        for i, topology in enumerate(new.get("allowedTopologies") or ())
        for j, expression in enumerate(topology.get("matchLabelExpressions") or ())
        if (why := deprecated_label(expression.get("key", "")))
    ]


def capacity_warnings(new: Object, old: Object | None) -> list[str]:
    return list(selector_warnings("nodeTopology", new.get("nodeTopology") or {}))


_TOKENS = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible "
    "logging of tokens in volume attributes"
)


def driver_warnings(new: Object, old: Object | None) -> list[str]:
    """Of a CSIDriver."""
    spec = new.get("spec") or {}
    asked = spec.get("tokenRequests") or []
    before = ((old.get("spec") or {}).get("tokenRequests") or []) if old is not None else None
    return [_TOKENS] if asked and asked != before and spec.get("serviceAccountTokenInSecrets") is None else []
