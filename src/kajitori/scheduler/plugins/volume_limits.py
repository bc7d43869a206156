"""What else a volume forbids: a second pod, one more on the node, a node of another zone."""

from collections import defaultdict

import numpy as np

from kajitori.api.meta import Object, ObjectKey, key_of, labels_of, name_of
from kajitori.scheduler import claims
from kajitori.scheduler.framework import Change, Cluster, Filter
from kajitori.scheduler.node_table import ABSENT, Mask
from kajitori.scheduler.pod_view import PodView

ZONE_LABELS = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
_Handles = dict[str, set[str]]
"""By driver, the volumes of that driver."""


class VolumeRestrictions(Filter):
    """A ReadWriteOncePod claim serves one pod in the whole cluster."""

    name = "VolumeRestrictions"
    refusal = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"
    wakes_on = Change.POD_LEFT | Change.STORAGE
    yields_to_preemption = True

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        for name in pod.claims:
            key = ObjectKey(pod.namespace, name)
            claim = cluster.claims.get(key)
            exclusive = claim is not None and "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ())
            if exclusive and cluster.nodes.claim_users[key]:
                return np.zeros(cluster.nodes.rows, bool)
        return None


class NodeVolumeLimits(Filter):
    """CSI drivers say how many of their volumes a node can have."""

    name = "NodeVolumeLimits"
    refusal = "node(s) exceed max volume count"
    wakes_on = Change.NODE | Change.POD_LEFT | Change.STORAGE
    yields_to_preemption = True

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        if not pod.claims or not cluster.csi_nodes:
            return None
        wanted = _handles([pod], cluster)
        mask: Mask | None = None
        for csi_node in cluster.csi_nodes.values() if wanted else ():
            row = cluster.nodes.row(name_of(csi_node))
            limits = _limits(csi_node)
            if row is None or not limits.keys() & wanted.keys():
                continue
            there = _handles(list(cluster.nodes.pods[row].values()), cluster)
            if any(len(there[d] | wanted[d]) > limits[d] for d in wanted if d in limits and wanted[d] - there[d]):
                mask = np.ones(cluster.nodes.rows, bool) if mask is None else mask
                mask[row] = False
        return mask


def _limits(csi_node: Object) -> dict[str, int]:
    drivers = (csi_node.get("spec") or {}).get("drivers") or ()
    counts = {driver["name"]: (driver.get("allocatable") or {}).get("count") for driver in drivers}
    return {name: count for name, count in counts.items() if count is not None}


def _handles(pods: list[PodView], cluster: Cluster) -> _Handles:
    """Volumes that exist by their handle; those still to be made by their claim."""
    found: _Handles = defaultdict(set)
    for pod in pods:
        for volume in claims.bound_volumes(pod, cluster):
            if csi := volume["spec"].get("csi"):
                found[csi["driver"]].add(csi["volumeHandle"])
        for claim in claims.claims_to_place(pod, cluster):
            storage_class = claims.storage_class_of(claim, cluster) or {}
            found[storage_class.get("provisioner", "")].add(f"claim {key_of(claim)}")
    return found


class VolumeZone(Filter):
    """Volumes labelled with a zone are reached from nodes of that zone, and from nodes that know of no zones."""

    name = "VolumeZone"
    refusal = "node(s) had no available volume zone"
    wakes_on = Change.NODE | Change.STORAGE

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask: Mask | None = None
        nodes = cluster.nodes
        for volume in claims.bound_volumes(pod, cluster) if pod.claims else ():
            for key in ZONE_LABELS:
                zones = labels_of(volume).get(key)
                if zones is not None:
                    mask = nodes.alive.copy() if mask is None else mask
                    mask &= np.isin(nodes.label_column(key), [nodes.value_id(key, z) for z in zones.split("__")])
        if mask is None:
            return None
        zoned = np.logical_or.reduce([nodes.label_column(key) != ABSENT for key in ZONE_LABELS])
        result: Mask = mask | ~zoned
        return result
