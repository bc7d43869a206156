"""Topology spread constraints: matching pods even between the domains of a label (KEP-895)."""

import numpy as np

from kajitori.scheduler.framework import Cluster, Filter, Score, Scores, scaled
from kajitori.scheduler.node_table import ABSENT, Column, Mask
from kajitori.scheduler.plugins.node import required_rows
from kajitori.scheduler.plugins.taints import TaintToleration
from kajitori.scheduler.pod_view import PodView, SpreadConstraint


def _counted(pod: PodView, constraint: SpreadConstraint, cluster: Cluster) -> Mask:
    """The nodes whose domains take part."""
    nodes = cluster.nodes
    mask: Mask = nodes.alive & (nodes.label_column(constraint.term.topology_key) != ABSENT)
    if constraint.honours_affinity and (allowed := required_rows(pod, nodes)) is not None:
        mask &= allowed
    if constraint.honours_taints and (tolerated := TaintToleration().filter(pod, cluster)) is not None:
        mask &= tolerated
    return mask


def _per_domain(constraint: SpreadConstraint, counted: Mask, cluster: Cluster) -> Column:
    matching = np.where(counted, cluster.counts.matching(constraint.term), 0)
    return cluster.counts.per_domain(matching, constraint.term.topology_key)


def _skew_allows(pod: PodView, constraint: SpreadConstraint, cluster: Cluster) -> Mask:
    counted = _counted(pod, constraint, cluster)
    in_domain = _per_domain(constraint, counted, cluster)
    domains = cluster.nodes.label_column(constraint.term.topology_key)
    enough_domains = len(np.unique(domains[counted])) >= constraint.min_domains
    least = int(in_domain[counted].min(initial=np.iinfo(np.int64).max)) if enough_domains and counted.any() else 0
    itself = int(constraint.term.selector.matches(pod.labels))
    result: Mask = (domains != ABSENT) & (in_domain + itself - least <= constraint.max_skew)
    return result


class PodTopologySpread(Filter, Score):
    """Hard constraints filter, soft ones score; a node without the label cannot satisfy a hard one."""

    name = "PodTopologySpread"
    weight = 2

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        hard = [constraint for constraint in pod.spread if constraint.hard]
        if not hard:
            return None
        mask = cluster.nodes.alive.copy()
        for constraint in hard:
            mask &= _skew_allows(pod, constraint, cluster)
        return mask

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        hard = [constraint for constraint in pod.spread if constraint.hard]
        keys = [constraint.term.topology_key for constraint in hard]
        if any(cluster.nodes.label_column(key)[row] == ABSENT for key in keys):
            return ["node(s) didn't match pod topology spread constraints (missing required label)"]
        return ["node(s) didn't match pod topology spread constraints"]

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        soft = [constraint for constraint in pod.spread if not constraint.hard]
        if not soft:
            return None
        raw = np.zeros(cluster.nodes.rows)
        for constraint in soft:
            counted = _counted(pod, constraint, cluster)
            domains = len(np.unique(cluster.nodes.label_column(constraint.term.topology_key)[feasible & counted]))
            # Few domains weigh less than many: each pod more in one of many is the greater imbalance.
            raw += _per_domain(constraint, counted, cluster) * np.log(domains + 2) + constraint.max_skew - 1
        return _fewest_best(raw, feasible)


def _fewest_best(raw: Scores, feasible: Mask) -> Scores | None:
    least, most = float(raw[feasible].min(initial=np.inf)), float(raw[feasible].max(initial=0))
    if not np.isfinite(least) or most == 0:
        return None
    return scaled(most + least - raw, feasible)
