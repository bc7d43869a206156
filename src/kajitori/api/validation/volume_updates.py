"""What of persistent volumes and their claims may still change."""

from copy import deepcopy

from kajitori.api.field_errors import FieldError, forbidden, invalid
from kajitori.api.meta import Object
from kajitori.api.quantity import parse
from kajitori.api.schema.internal_shapes import as_shown, difference
from kajitori.api.validation.checks import Errors
from kajitori.api.validation.immutability import same
from kajitori.api.validation.volumes import validate_volume_of_cluster

_OF_VOLUME = (
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
)
"""What a volume's spec has beside its source."""
_CLAIM_IMMUTABLE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n"
)
_STORAGE_CLASS = "volume.beta.kubernetes.io/storage-class"
_ZONES = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
}
"""Labels of nodes that became stable: a term may move from the old name to the new one."""


def validate_volume_of_cluster_update(new: Object, old: Object) -> list[FieldError]:
    # Upstream judges the new volume twice, so the causes tell of each error twice.
    return [*validate_volume_of_cluster(new), *_volume_update(new["spec"], old["spec"])]


def _volume_update(new: Object, old: Object) -> Errors:
    spec = deepcopy(new)
    expand, had = (((each.get("csi") or {}).get("controllerExpandSecretRef")) for each in (spec, old))
    if expand is not None and had is None and old.get("csi") is not None:
        del spec["csi"]["controllerExpandSecretRef"]
    after, before = ({k: v for k, v in each.items() if k not in _OF_VOLUME} for each in (spec, old))
    if not same(after, before) or set(after) != set(before):
        changed = difference("core.PersistentVolumeSource", before, after)
        detail = f"spec.persistentvolumesource is immutable after creation\n{changed}"
        yield forbidden("spec.persistentvolumesource", detail)
    if spec.get("volumeMode") != old.get("volumeMode"):
        yield invalid("volumeMode", spec.get("volumeMode"), "field is immutable")
    affinity, was = spec.get("nodeAffinity"), old.get("nodeAffinity")
    if was is not None and not same(_stable_labels(affinity, was), was):
        shown = as_shown("core.VolumeNodeAffinity", affinity)
        detail = "field is immutable, except for updating from beta label to GA"
        yield invalid("nodeAffinity", shown, detail)
    if old.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        yield forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")


def _stable_labels(affinity: Object | None, was: Object) -> Object | None:
    """The new affinity with the old names of labels where the old one had them."""
    masked = deepcopy(affinity)
    terms = ((masked or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    old_terms = (was.get("required") or {}).get("nodeSelectorTerms") or ()
    for term, old_term in zip(terms, old_terms, strict=False):
        pairs = zip(term.get("matchExpressions") or (), old_term.get("matchExpressions") or (), strict=False)
        for requirement, old_requirement in pairs:
            if _ZONES.get(old_requirement.get("key")) == requirement.get("key"):
                requirement["key"] = old_requirement["key"]
    return masked


def validate_claim_update(new: Object, old: Object) -> list[FieldError]:
    return list(_claim_update(new, old))


def _claim_update(new: Object, old: Object) -> Errors:
    status, spec, before = old.get("status") or {}, deepcopy(new["spec"]), old["spec"]
    after_class, class_before = (
        ((each["metadata"].get("annotations") or {}).get(_STORAGE_CLASS)) for each in (new, old)
    )
    if not before.get("volumeName") and spec.get("volumeName"):  # a claim is bound once
        before = {**before, "volumeName": spec["volumeName"]}
    if before.get("storageClassName") is None and spec.get("storageClassName") is not None:
        named = spec["storageClassName"]
        if class_before is None or named == class_before:
            del spec["storageClassName"]
    elif after_class != class_before:
        path = f"metadata.annotations[{_STORAGE_CLASS}]"
        yield invalid(path, after_class or "", "field is immutable")
    if status.get("phase") == "Bound":
        requests = (spec.get("resources") or {}).get("requests")
        if requests is not None:
            requests["storage"] = ((before.get("resources") or {}).get("requests") or {}).get("storage")
        spec["volumeAttributesClassName"] = before.get("volumeAttributesClassName")
    if not same(spec, before):
        detail = _CLAIM_IMMUTABLE + difference("core.PersistentVolumeClaimSpec", before, spec)
        yield forbidden("spec", detail)
    yield from _size_update(new["spec"], before, status)
    if new["spec"].get("volumeMode") != before.get("volumeMode"):
        yield invalid("volumeMode", new["spec"].get("volumeMode"), "field is immutable")
    attributes = new["spec"].get("volumeAttributesClassName")
    if status.get("currentVolumeAttributesClassName") is not None and not attributes:
        to = "nil" if attributes is None else "empty string"
        if attributes != before.get("volumeAttributesClassName"):
            detail = f"update to {to} is forbidden when status.currentVolumeAttributesClassName is not nil"
            yield forbidden("spec.volumeAttributesClassName", detail)


def _size_update(new: Object, old: Object, status: Object) -> Errors:
    after, before = (((each.get("resources") or {}).get("requests") or {}).get("storage", "0") for each in (new, old))
    capacity = (status.get("capacity") or {}).get("storage", "0")
    if parse(after).nanos < parse(before).nanos and parse(after).nanos <= parse(capacity).nanos:
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
