"""Affinity and anti-affinity between pods, per domain of a label: the pod's own terms, and those of running pods."""

import numpy as np

from kajitori.scheduler.framework import SCORE_MAX, Change, Cluster, Filter, Score, Scores
from kajitori.scheduler.node_table import ABSENT, Column, Mask
from kajitori.scheduler.pod_view import PodView
from kajitori.scheduler.terms import AllOf


class InterPodAffinity(Filter, Score):
    """Required terms filter, preferred ones score."""

    name = "InterPodAffinity"
    weight = 2
    wakes_on = Change.NODE | Change.POD_LEFT | Change.POD_CAME

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

    def helped_by_preemption(self, pod: PodView, refused: Mask, cluster: Cluster) -> Mask:
        """Whoever leaves cannot bring the company that is missing."""
        affinity = self._affinity(pod, cluster)
        return refused if affinity is None else refused & affinity

    def _affinity(self, pod: PodView, cluster: Cluster) -> Mask | None:
        terms = pod.required_affinity
        if not terms:
            return None
        counted = terms[0] if len(terms) == 1 else AllOf(terms)
        has_domain, together, nobody = cluster.nodes.alive.copy(), cluster.nodes.alive.copy(), True
        for term in terms:
            has_domain &= cluster.nodes.label_column(term.topology_key) != ABSENT
            in_domain = cluster.counts.in_domain(counted, term.topology_key) > 0
            nobody = nobody and not in_domain.any()
            together &= in_domain
        if nobody and all(term.matches(pod, cluster.namespaces) for term in terms):
            # The first of a group that wants to be together may start anywhere the labels exist.
            return has_domain
        return together

    def _anti(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask: Mask | None = None
        for term in pod.required_anti_affinity:
            free = cluster.counts.in_domain(term, term.topology_key) == 0
            mask = free if mask is None else mask & free
        return mask

    def _kept_away(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask: Mask | None = None
        for in_domain in cluster.counts.keeping_away(pod):
            free = in_domain == 0
            mask = free if mask is None else mask & free
        return mask

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        raw: Column | None = None
        for weight, term in pod.preferred_affinity:
            part: Column = weight * cluster.counts.in_domain(term, term.topology_key)
            raw = part if raw is None else raw + part
        for weight, in_domain in cluster.counts.preferring(pod):
            part = weight * in_domain
            raw = part if raw is None else raw + part
        if raw is None:
            return None
        among = raw[feasible]
        least, most = int(among.min()), int(among.max())
        return np.floor(SCORE_MAX * ((raw - least) / (most - least))) if most > least else None
