"""What a pod's PersistentVolumeClaims ask of the cluster: which volume could serve, what waits for the pod's node."""

from collections.abc import Iterator

from kajitori.api.meta import Object, ObjectKey, annotations_of, is_deleting, key_of, labels_of, name_of, uid_of
from kajitori.api.quantity import value
from kajitori.api.selectors import from_label_selector
from kajitori.scheduler.framework import Cluster, Unschedulable
from kajitori.scheduler.pod_view import PodView

SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
WAIT_FOR_CONSUMER = "WaitForFirstConsumer"


def claims_of(pod: PodView, cluster: Cluster) -> list[Object]:
    """Raises Unschedulable when one is not there, not the pod's, lost or going away."""
    return [_usable(pod, name, ephemeral, cluster) for name, ephemeral in pod.claims.items()]


def _usable(pod: PodView, name: str, ephemeral: bool, cluster: Cluster) -> Object:
    claim = cluster.claims.get(ObjectKey(pod.namespace, name))
    if claim is None and ephemeral:
        raise Unschedulable(f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"')
    if claim is None:
        raise Unschedulable(f'persistentvolumeclaim "{name}" not found')
    if (claim.get("status") or {}).get("phase") == "Lost":
        volume = volume_name(claim)
        raise Unschedulable(f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"')
    if is_deleting(claim):
        raise Unschedulable(f'persistentvolumeclaim "{name}" is being deleted')
    if ephemeral and not any(o.get("uid") == pod.uid for o in claim["metadata"].get("ownerReferences") or ()):
        where = f"{pod.namespace}/{name} was not created for pod {pod.namespace}/{pod.name}"
        raise Unschedulable(f"PVC {where} (pod is not owner)")
    return claim


def volume_name(claim: Object) -> str:
    """Of the volume it is bound to, or shall be by the user's wish."""
    return claim["spec"].get("volumeName") or ""


def class_of(claim_or_volume: Object) -> str:
    return claim_or_volume["spec"].get("storageClassName") or ""


def storage_class_of(claim: Object, cluster: Cluster) -> Object | None:
    return cluster.storage_classes.get(ObjectKey("", class_of(claim)))


def waits_for_pod(claim: Object, cluster: Cluster) -> bool:
    """Whether an unbound claim is bound only after its pod has a node."""
    storage_class = storage_class_of(claim, cluster)
    return storage_class is not None and storage_class.get("volumeBindingMode") == WAIT_FOR_CONSUMER


def bound_volumes(pod: PodView, cluster: Cluster) -> Iterator[Object]:
    """Volumes behind the pod's claims, as far as they are there."""
    for name in pod.claims:
        claim = cluster.claims.get(ObjectKey(pod.namespace, name))
        volume = claim and cluster.volumes.get(ObjectKey("", volume_name(claim)))
        if volume:
            yield volume


def claims_to_place(pod: PodView, cluster: Cluster) -> list[Object]:
    """The claims that must hear of the chosen node before the pod is bound to it."""
    claims = [cluster.claims.get(ObjectKey(pod.namespace, name)) for name in pod.claims]
    return [claim for claim in claims if claim is not None and not volume_name(claim)]


def selected_node(claim: Object) -> str:
    return annotations_of(claim).get(SELECTED_NODE, "")


def candidate_volumes(claim: Object, cluster: Cluster) -> list[Object]:
    """Existing volumes that would serve the claim, the smallest first."""
    volumes = [volume for volume in cluster.volumes.values() if _serves(volume, claim, cluster)]
    return sorted(volumes, key=lambda volume: (_size(volume), name_of(volume)))


def _serves(volume: Object, claim: Object, cluster: Cluster) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    if class_of(volume) != class_of(claim) or is_deleting(volume) or not _is_free(volume, claim, cluster):
        return False
    if (spec.get("volumeMode") or "Filesystem") != (wanted.get("volumeMode") or "Filesystem"):
        return False
    if (spec.get("volumeAttributesClassName") or "") != (wanted.get("volumeAttributesClassName") or ""):
        return False
    if not set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ()):
        return False
    if "selector" in wanted and not from_label_selector(wanted["selector"]).matches(labels_of(volume)):
        return False
    return _size(volume) >= value(((wanted.get("resources") or {}).get("requests") or {}).get("storage") or 0)


def _is_free(volume: Object, claim: Object, cluster: Cluster) -> bool:
    if cluster.reserved_volumes.get(name_of(volume), key_of(claim)) != key_of(claim):
        return False
    reference = volume["spec"].get("claimRef")
    if not reference:
        return (volume.get("status") or {}).get("phase") in (None, "", "Pending", "Available")
    same = ObjectKey(reference.get("namespace") or "", reference.get("name") or "") == key_of(claim)
    return same and reference.get("uid", "") in ("", uid_of(claim))


def _size(volume: Object) -> int:
    return value((volume["spec"].get("capacity") or {}).get("storage") or 0)
