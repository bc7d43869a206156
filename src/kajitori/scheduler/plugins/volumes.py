"""Volumes: a bound one pins its pod to where it is; an unbound one may wait for the pod, if its class says so."""

import numpy as np

from kajitori.api.meta import Object, ObjectKey, annotations_of
from kajitori.scheduler.framework import Cluster, Filter, Unschedulable
from kajitori.scheduler.node_table import Mask
from kajitori.scheduler.plugins.node import rows_of_terms
from kajitori.scheduler.pod_view import PodView

SELECTED_NODE = "volume.kubernetes.io/selected-node"
WAIT_FOR_CONSUMER = "WaitForFirstConsumer"


def waits_for_pod(claim: Object, cluster: Cluster) -> bool:
    """Whether an unbound claim is bound only after its pod has a node."""
    storage_class = cluster.storage_classes.get(ObjectKey("", claim["spec"].get("storageClassName") or ""))
    return storage_class is not None and storage_class.get("volumeBindingMode") == WAIT_FOR_CONSUMER


def claims_to_place(pod: PodView, cluster: Cluster) -> list[Object]:
    """The claims that must hear of the chosen node before the pod is bound to it."""
    claims = [cluster.claims.get(ObjectKey(pod.namespace, name)) for name in pod.claims]
    return [claim for claim in claims if claim is not None and not claim["spec"].get("volumeName")]


class VolumeBinding(Filter):
    """Node affinity of the volumes behind the pod's claims."""

    name = "VolumeBinding"

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask: Mask | None = None
        for name in pod.claims:
            allowed = self._allowed(pod, name, cluster)
            if allowed is not None:
                mask = allowed if mask is None else mask & allowed
        return mask

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        return ["node(s) didn't match PersistentVolume's node affinity"]

    def _allowed(self, pod: PodView, name: str, cluster: Cluster) -> Mask | None:
        claim = cluster.claims.get(ObjectKey(pod.namespace, name))
        if claim is None:
            raise Unschedulable(f'persistentvolumeclaim "{name}" not found')
        if claim["metadata"].get("deletionTimestamp"):
            raise Unschedulable(f'persistentvolumeclaim "{name}" is being deleted')
        volume_name = claim["spec"].get("volumeName")
        if volume_name:
            volume = cluster.volumes.get(ObjectKey("", volume_name))
            if volume is None:
                raise Unschedulable(f'persistentvolume "{volume_name}" not found')
            required = (volume["spec"].get("nodeAffinity") or {}).get("required")
            return None if required is None else rows_of_terms(required.get("nodeSelectorTerms") or [], cluster.nodes)
        if not waits_for_pod(claim, cluster):
            raise Unschedulable("pod has unbound immediate PersistentVolumeClaims")
        selected = annotations_of(claim).get(SELECTED_NODE)
        return np.array([node == selected for node in cluster.nodes.names]) if selected else None
