"""Room: enough of every resource, and rather on nodes where much is left, of all kinds evenly."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from kajitori.scheduler.changes import Rows
from kajitori.scheduler.framework import SCORE_MAX, Change, Cluster, Filter, Score, Scores
from kajitori.scheduler.node_table import Column, Mask, NodeTable
from kajitori.scheduler.pod_view import PodView

_SCORED = ("cpu", "memory")


def _fits(nodes: NodeTable, resource: str, asked: int, rows: Rows) -> Mask:
    result: Mask = nodes.requested_of(resource)[rows] + asked <= nodes.allocatable_of(resource)[rows]
    return result


class ResourcesFit(Filter, Score):
    """Requested + asked <= allocatable; scored by what is left (LeastAllocated)."""

    name = "NodeResourcesFit"
    wakes_on = Change.NODE | Change.POD_LEFT

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        nodes = cluster.nodes

        def compute(rows: Rows) -> Mask:
            mask: Mask = nodes.alive[rows].copy()
            for resource, asked in pod.requests_key:
                mask &= _fits(nodes, resource, asked, rows)
            return mask

        return nodes.remember((self.name, "filter", pod.requests_key), compute)

    def reasons(self, pod: PodView, refused: Mask, cluster: Cluster) -> Counter[str]:
        rows = np.flatnonzero(refused)
        found: Counter[str] = Counter()
        for resource, asked in pod.requests_key:
            short = int(np.count_nonzero(~_fits(cluster.nodes, resource, asked, rows)))
            if short:
                found["Too many pods" if resource == "pods" else f"Insufficient {resource}"] = short
        return found

    def helped_by_preemption(self, pod: PodView, refused: Mask, cluster: Cluster) -> Mask:
        """Not where the whole node is too small."""
        helped = refused.copy()
        for resource, asked in pod.requests_key:
            if resource != "pods":
                helped &= cluster.nodes.allocatable_of(resource) >= asked
        return helped

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        nodes, asked = cluster.nodes, pod.scored_requests

        def compute(rows: Rows) -> Scores:
            weights = total = np.zeros_like(nodes.taint_class[rows])
            for resource in _SCORED:
                room = nodes.allocatable_of(resource)[rows]
                left = np.maximum(room - nodes.scored[resource][rows] - asked[resource], 0)
                total = total + _quotient(left * SCORE_MAX, room)
                weights = weights + (room > 0)
            return _quotient(total, weights).astype(float)

        return nodes.remember((self.name, "score", *asked.values()), compute)


class BalancedAllocation(Score):
    """CPU and memory used to the same share."""

    name = "NodeResourcesBalancedAllocation"

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        nodes = cluster.nodes
        asked = [pod.requests.get(resource, 0) for resource in _SCORED]
        if not any(asked):
            return None

        def compute(rows: Rows) -> Scores:
            shares, both = [], nodes.alive[rows]
            for resource, more in zip(_SCORED, asked, strict=True):
                room = nodes.allocatable_of(resource)[rows]
                used = nodes.requested_of(resource)[rows] + more
                shares.append(np.minimum(used / np.maximum(room, 1), 1))
                both = both & (room > 0)
            deviation = np.where(both, np.abs((shares[0] - shares[1]) / 2), 0)
            result: Scores = np.floor((1 - deviation) * SCORE_MAX)
            return result

        return nodes.remember((self.name, *asked), compute)


def _quotient(dividend: Column, divisor: NDArray[np.int64]) -> Column:
    """Whole; 0 where the divisor is."""
    result: Column = dividend // np.maximum(divisor, 1)
    return np.where(divisor > 0, result, 0)
