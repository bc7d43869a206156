"""Which PersistentVolume suits a claim. Pure; follows upstream's `findMatchingVolume`."""

from collections.abc import Iterable

from kajitori.api import quantity
from kajitori.api.local_path import SELECTED_NODE_ANNOTATION
from kajitori.api.meta import Object, annotations_of, is_deleting, labels_of, name_of, namespace_of, uid_of
from kajitori.api.node_fit import matches_terms
from kajitori.api.selectors import from_label_selector

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def class_of(obj: Object) -> str:
    """The storage class of a claim or a volume; "" for none."""
    return annotations_of(obj).get(CLASS_ANNOTATION) or obj["spec"].get("storageClassName") or ""


def waits_for_consumer(storage_class: Object | None) -> bool:
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def selected_node(claim: Object) -> str:
    return annotations_of(claim).get(SELECTED_NODE_ANNOTATION, "")


def requested(claim: Object) -> str:
    return ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or "0"


def capacity(volume: Object) -> str:
    return (volume["spec"].get("capacity") or {}).get("storage") or "0"


def refers_to(volume: Object, claim: Object) -> bool:
    """Whether the volume is bound to, or reserved for, this claim."""
    ref = volume["spec"].get("claimRef")
    return bool(
        ref
        and ref.get("name") == name_of(claim)
        and ref.get("namespace") == namespace_of(claim)
        and ref.get("uid", "") in ("", uid_of(claim))
    )


def mismatch(volume: Object, claim: Object) -> str:
    """Why a claim cannot have the very volume it names; "" when it can."""
    if quantity.compare(capacity(volume), requested(claim)) < 0:
        return "requested PV is too small"
    if class_of(volume) != class_of(claim):
        return "storageClassName does not match"
    if _attributes_class(volume) != _attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if _mode(volume) != _mode(claim):
        return "incompatible volumeMode"
    if not set(claim["spec"].get("accessModes") or ()) <= set(volume["spec"].get("accessModes") or ()):
        return "incompatible accessMode"
    return ""


def find(claim: Object, volumes: Iterable[Object], node: Object | None) -> Object | None:
    """The volume reserved for the claim, or else the smallest that suits; `node` is where it will be used, if known."""
    suitable = []
    for volume in volumes:
        if is_deleting(volume):
            continue
        if refers_to(volume, claim):
            return volume
        if volume["spec"].get("claimRef") or (volume.get("status") or {}).get("phase") != "Available":
            continue
        if mismatch(volume, claim) or not _selected(volume, claim) or not _reachable(volume, node):
            continue
        suitable.append(volume)
    return min(suitable, key=lambda v: (quantity.parse(capacity(v)).nanos, name_of(v)), default=None)


def _attributes_class(obj: Object) -> str:
    return obj["spec"].get("volumeAttributesClassName") or ""


def _mode(obj: Object) -> str:
    return obj["spec"].get("volumeMode") or "Filesystem"


def _selected(volume: Object, claim: Object) -> bool:
    selector = claim["spec"].get("selector")
    return not selector or from_label_selector(selector).matches(labels_of(volume))


def _reachable(volume: Object, node: Object | None) -> bool:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return node is None or required is None or matches_terms(required.get("nodeSelectorTerms") or (), node)
