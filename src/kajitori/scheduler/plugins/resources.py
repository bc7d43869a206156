"""Room: enough of every resource, and rather on nodes where much is left, of all kinds evenly."""

import numpy as np

from kajitori.scheduler.framework import SCORE_MAX, Cluster, Filter, Score, Scores
from kajitori.scheduler.node_table import Mask
from kajitori.scheduler.pod_view import PodView

_SCORED = ("cpu", "memory")


def _fractions(pod: PodView, cluster: Cluster) -> list[Scores]:
    """For each scored resource, the share in use if the pod went there."""
    fractions = []
    for resource in _SCORED:
        room = cluster.nodes.allocatable_of(resource).astype(float)
        used = cluster.nodes.scored[resource] + pod.scored_requests[resource]
        fractions.append(np.divide(used, room, out=np.ones_like(room), where=room > 0))
    return fractions


class ResourcesFit(Filter, Score):
    """Requested + asked <= allocatable; scored by what is left (LeastAllocated)."""

    name = "NodeResourcesFit"

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask = cluster.nodes.alive.copy()
        for resource, asked in pod.requests.items():
            if asked > 0:
                nodes = cluster.nodes
                mask &= nodes.requested_of(resource) + asked <= nodes.allocatable_of(resource)
        return mask

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        nodes = cluster.nodes
        short = [
            resource
            for resource, asked in pod.requests.items()
            if asked > 0 and nodes.requested_of(resource)[row] + asked > nodes.allocatable_of(resource)[row]
        ]
        return ["Too many pods" if resource == "pods" else f"Insufficient {resource}" for resource in short]

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        free = [np.floor(np.clip(1 - used, 0, 1) * SCORE_MAX) for used in _fractions(pod, cluster)]
        result: Scores = np.floor(sum(free, np.zeros(cluster.nodes.rows)) / len(free))
        return result


class BalancedAllocation(Score):
    """CPU and memory used to the same share."""

    name = "NodeResourcesBalancedAllocation"

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        if not any(resource in pod.requests for resource in _SCORED):
            return None
        shares = np.clip(np.stack(_fractions(pod, cluster)), 0, 1)
        result: Scores = np.floor((1 - shares.std(axis=0)) * SCORE_MAX)
        return result
