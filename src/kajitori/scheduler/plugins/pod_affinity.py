"""Affinity and anti-affinity between pods, per domain of a label: the pod's own terms, and those of running pods."""

import numpy as np

from kajitori.scheduler.framework import SCORE_MAX, Cluster, Filter, Score, Scores
from kajitori.scheduler.node_table import ABSENT, Mask
from kajitori.scheduler.pod_view import AffinityTerm, PodView


def _has_domain(term: AffinityTerm, cluster: Cluster) -> Mask:
    result: Mask = cluster.nodes.label_column(term.topology_key) != ABSENT
    return result


class InterPodAffinity(Filter, Score):
    """Required terms filter, preferred ones score."""

    name = "InterPodAffinity"
    weight = 2

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        masks = (self._affinity(pod, cluster), self._anti(pod, cluster), self._kept_away(pod, cluster))
        asked = [mask for mask in masks if mask is not None]
        return np.logical_and.reduce(asked) if asked else None

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        affinity, anti = self._affinity(pod, cluster), self._anti(pod, cluster)
        if affinity is not None and not affinity[row]:
            return ["node(s) didn't match pod affinity rules"]
        if anti is not None and not anti[row]:
            return ["node(s) didn't match pod anti-affinity rules"]
        return ["node(s) didn't satisfy existing pods anti-affinity rules"]

    def _affinity(self, pod: PodView, cluster: Cluster) -> Mask | None:
        terms = pod.required_affinity
        if not terms:
            return None
        mask = cluster.nodes.alive.copy()
        possible, nobody = mask.copy(), True
        for term in terms:
            counts = cluster.counts.matching(term)
            nobody = nobody and not counts.any()
            mask &= _has_domain(term, cluster) & (cluster.counts.per_domain(counts, term.topology_key) > 0)
        if nobody and all(term.matches(pod, cluster.namespaces) for term in terms):
            # The first of a group that wants to be together may start anywhere the labels exist.
            for term in terms:
                possible &= _has_domain(term, cluster)
            return possible
        return mask

    def _anti(self, pod: PodView, cluster: Cluster) -> Mask | None:
        terms = pod.required_anti_affinity
        if not terms:
            return None
        mask = cluster.nodes.alive.copy()
        for term in terms:
            mask &= cluster.counts.per_domain(cluster.counts.matching(term), term.topology_key) == 0
        return mask

    def _kept_away(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask: Mask | None = None
        for term, where in cluster.counts.keeping_away(pod):
            free = cluster.counts.per_domain(where, term.topology_key) == 0
            mask = free if mask is None else mask & free
        return mask

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        raw = np.zeros(cluster.nodes.rows)
        for weight, term in pod.preferred_affinity:
            raw += weight * cluster.counts.per_domain(cluster.counts.matching(term), term.topology_key)
        for weight, term, where in cluster.counts.preferring(pod):
            raw += weight * cluster.counts.per_domain(where, term.topology_key)
        least, most = float(raw[feasible].min(initial=np.inf)), float(raw[feasible].max(initial=-np.inf))
        if not raw.any() or not most > least:
            return None
        return np.floor((raw - least) * SCORE_MAX / (most - least))
