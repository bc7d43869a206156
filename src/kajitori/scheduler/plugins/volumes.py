"""Volumes: a bound one pins its pod to where it is; an unbound one may wait for the pod, if its class says so."""

import numpy as np

from kajitori.api.meta import Object, ObjectKey
from kajitori.scheduler import claims
from kajitori.scheduler.framework import Change, Cluster, Filter, Unschedulable
from kajitori.scheduler.node_table import Mask, NodeTable
from kajitori.scheduler.plugins.node import rows_of_terms
from kajitori.scheduler.pod_view import PodView

NOT_WHERE_VOLUME_IS = "node(s) didn't match PersistentVolume's node affinity"
NOTHING_TO_BIND = "node(s) didn't find available persistent volumes to bind"
VOLUME_MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


def rows_of_volume(volume: Object, nodes: NodeTable) -> Mask | None:
    """The nodes that reach the volume; None for all."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required")
    return None if required is None else rows_of_terms(required.get("nodeSelectorTerms") or [], nodes)


def placement(claim: Object, node: str, cluster: Cluster) -> Object | None:
    """The existing volume that the claim takes on this node; None when one must be made."""
    row = cluster.nodes.row(node)
    if row is None or claims.selected_node(claim) == node:
        return None
    for volume in claims.candidate_volumes(claim, cluster):
        mask = rows_of_volume(volume, cluster.nodes)
        if mask is None or mask[row]:
            return volume
    return None


class VolumeBinding(Filter):
    """Node affinity of the volumes behind the pod's claims; volumes to be found or made for those that wait."""

    name = "VolumeBinding"
    wakes_on = Change.NODE | Change.STORAGE

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        if not pod.claims:
            return None
        mask = cluster.nodes.alive.copy()
        for _, allowed in self._verdicts(pod, cluster):
            mask &= allowed
        return mask

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        reasons = dict.fromkeys(reason for reason, allowed in self._verdicts(pod, cluster) if not allowed[row])
        return [VOLUME_MISSING] if VOLUME_MISSING in reasons else list(reasons)

    def _verdicts(self, pod: PodView, cluster: Cluster) -> list[tuple[str, Mask]]:
        """For each claim that constrains: the nodes that will do, and what the others lack."""
        found = claims.claims_of(pod, cluster)
        if any(not claims.volume_name(c) and not claims.waits_for_pod(c, cluster) for c in found):
            raise Unschedulable("pod has unbound immediate PersistentVolumeClaims")
        return [_bound(claim, cluster) if claims.volume_name(claim) else _waiting(claim, cluster) for claim in found]


def _bound(claim: Object, cluster: Cluster) -> tuple[str, Mask]:
    volume = cluster.volumes.get(ObjectKey("", claims.volume_name(claim)))
    if volume is None:
        return VOLUME_MISSING, np.zeros(cluster.nodes.rows, bool)
    mask = rows_of_volume(volume, cluster.nodes)
    return NOT_WHERE_VOLUME_IS, cluster.nodes.alive if mask is None else mask


def _waiting(claim: Object, cluster: Cluster) -> tuple[str, Mask]:
    nodes = cluster.nodes
    mask = _provisionable(claim, cluster)
    node = claims.selected_node(claim)
    # A node that is gone cannot be meant any more: the next one is told to the claim instead.
    if node and nodes.row(node) is not None:
        return NOTHING_TO_BIND, mask & nodes.mask_of([node])
    for volume in claims.candidate_volumes(claim, cluster):
        reached = rows_of_volume(volume, nodes)
        mask = mask | (nodes.alive if reached is None else reached)
    return NOTHING_TO_BIND, mask


def _provisionable(claim: Object, cluster: Cluster) -> Mask:
    """Where the class's provisioner can make a volume."""
    nodes, storage_class = cluster.nodes, claims.storage_class_of(claim, cluster) or {}
    if storage_class.get("provisioner", claims.NO_PROVISIONER) == claims.NO_PROVISIONER:
        return np.zeros(nodes.rows, bool)
    topologies = storage_class.get("allowedTopologies")
    if not topologies:
        return nodes.alive
    terms = [
        {
            "matchExpressions": [
                {"key": e["key"], "operator": "In", "values": e["values"]} for e in t["matchLabelExpressions"]
            ]
        }
        for t in topologies
    ]
    return rows_of_terms(terms, nodes)
