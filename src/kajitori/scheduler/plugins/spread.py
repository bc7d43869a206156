"""Topology spread constraints: matching pods even between the domains of a label (KEP-895)."""

from collections.abc import Sequence
from math import log

import numpy as np

from kajitori.scheduler.framework import SCORE_MAX, Change, Cluster, Filter, Score, Scores
from kajitori.scheduler.match_counts import per_domain
from kajitori.scheduler.node_table import ABSENT, Column, Mask, NodeTable
from kajitori.scheduler.plugins.node import required_rows
from kajitori.scheduler.plugins.taints import TaintToleration
from kajitori.scheduler.pod_view import AffinityTerm, PodView, SpreadConstraint

HOSTNAME = "kubernetes.io/hostname"
# What upstream spreads the pods of a Service or a ReplicaSet by when they say nothing themselves.
DEFAULT_SKEWS = ((HOSTNAME, 3), ("topology.kubernetes.io/zone", 5))


def _having(keys: Sequence[str], nodes: NodeTable) -> Mask:
    mask: Mask = nodes.alive.copy()
    for key in keys:
        mask &= nodes.label_column(key) != ABSENT
    return mask


def _counted(pod: PodView, constraint: SpreadConstraint, keys: tuple[str, ...], cluster: Cluster) -> Mask:
    """The nodes whose domains take part: those that have all the labels (`keys`) and that the policies let count."""

    def compute() -> Mask:
        mask = _having(keys, cluster.nodes)
        if constraint.honours_affinity and (allowed := required_rows(pod, cluster.nodes)) is not None:
            mask &= allowed
        if constraint.honours_taints and (tolerated := TaintToleration().filter(pod, cluster)) is not None:
            mask &= tolerated
        return mask

    rules = pod.node_rules if constraint.honours_affinity else None
    tolerations = pod.tolerations_key if constraint.honours_taints else None
    mask: Mask = cluster.nodes.while_nodes_stay(("counted", keys, rules, tolerations), compute)
    return mask


def _number_of_domains(key: str, rows: Mask, nodes: NodeTable) -> int:
    return int(np.count_nonzero(np.bincount(nodes.label_column(key)[rows])))


def _per_domain(constraint: SpreadConstraint, counted: Mask, cluster: Cluster) -> Column:
    """Matching pods in each node's domain, of which only those on counted nodes count."""
    key = constraint.term.topology_key
    domains = cluster.nodes.label_column(key)
    if not (~counted & (domains != ABSENT)).any():
        return cluster.counts.in_domain(constraint.term, key)
    return per_domain(cluster.counts.matching(constraint.term) * counted, domains)


def _skew_allows(pod: PodView, constraint: SpreadConstraint, keys: tuple[str, ...], cluster: Cluster) -> Mask:
    """Whether the domain of each node may take one more; a node without the label has no domain."""
    counted, key = _counted(pod, constraint, keys, cluster), constraint.term.topology_key
    in_domain = _per_domain(constraint, counted, cluster)
    least = int(in_domain[counted].min(initial=np.iinfo(np.int32).max))
    if constraint.min_domains > 1 and _number_of_domains(key, counted, cluster.nodes) < constraint.min_domains:
        least = 0
    itself = int(constraint.term.selector.matches(pod.labels))
    result: Mask = in_domain + (itself - least) <= constraint.max_skew
    return result


class PodTopologySpread(Filter, Score):
    """Hard constraints filter, soft ones score; a node without the label cannot satisfy a hard one."""

    name = "PodTopologySpread"
    refusal = "node(s) didn't match pod topology spread constraints"
    no_label = f"{refusal} (missing required label)"
    weight = 2
    wakes_on = Change.NODE | Change.POD_LEFT | Change.POD_CAME

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        mask: Mask | None = None
        for constraint, allowed in self._allowed(pod, cluster):
            has = cluster.nodes.label_column(constraint.term.topology_key) != ABSENT
            mask = has & allowed if mask is None else mask & has & allowed
        return mask

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        for constraint, allowed in self._allowed(pod, cluster):
            if cluster.nodes.label_column(constraint.term.topology_key)[row] == ABSENT:
                return [self.no_label]
            if not allowed[row]:
                break
        return [self.refusal]

    def helped_by_preemption(self, pod: PodView, refused: Mask, cluster: Cluster) -> Mask:
        return refused & _having([c.term.topology_key for c in pod.spread if c.hard], cluster.nodes)

    def _allowed(self, pod: PodView, cluster: Cluster) -> list[tuple[SpreadConstraint, Mask]]:
        hard = [constraint for constraint in pod.spread if constraint.hard]
        keys = tuple(constraint.term.topology_key for constraint in hard)
        return [(constraint, _skew_allows(pod, constraint, keys, cluster)) for constraint in hard]

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        soft = [constraint for constraint in pod.spread if not constraint.hard]
        keys = tuple(constraint.term.topology_key for constraint in soft)
        if not pod.spread:
            # Upstream's own defaults do not ask that a node have all the labels.
            soft, keys = _defaults(pod, cluster), ()
        if not soft:
            return None
        qualified = feasible & _having(keys, cluster.nodes)
        raw = np.zeros(cluster.nodes.rows)
        for constraint in soft:
            raw += _crowd(pod, constraint, keys, qualified, cluster)
        return _fewest_best(np.rint(raw), qualified)


def _defaults(pod: PodView, cluster: Cluster) -> list[SpreadConstraint]:
    selector = cluster.default_selector(pod)
    if selector is None:
        return []
    namespace = frozenset({pod.namespace})
    terms = [(AffinityTerm(namespace, None, selector, key, skips_deleting=True), s) for key, s in DEFAULT_SKEWS]
    return [
        SpreadConstraint(term, skew, hard=False, min_domains=1, honours_affinity=True, honours_taints=False)
        for term, skew in terms
    ]


def _crowd(
    pod: PodView, constraint: SpreadConstraint, keys: tuple[str, ...], qualified: Mask, cluster: Cluster
) -> Scores:
    """Matching pods in each node's domain, weighed by the number of domains: the more, the worse one more pod."""
    key, nodes = constraint.term.topology_key, cluster.nodes
    if key == HOSTNAME:
        in_domain, domains = cluster.counts.matching(constraint.term), int(np.count_nonzero(qualified))
    else:
        in_domain = _per_domain(constraint, _counted(pod, constraint, keys, cluster), cluster)
        domains = _number_of_domains(key, qualified & (nodes.label_column(key) != ABSENT), nodes)
    crowd = in_domain * log(domains + 2) + (constraint.max_skew - 1)
    return np.where(nodes.label_column(key) != ABSENT, crowd, 0)


def _fewest_best(raw: Scores, qualified: Mask) -> Scores | None:
    if not qualified.any():
        return None
    least, most = float(raw[qualified].min()), float(raw[qualified].max())
    scores = np.full(raw.shape, float(SCORE_MAX)) if most == 0 else np.floor(SCORE_MAX * (most + least - raw) / most)
    return np.where(qualified, scores, 0)
