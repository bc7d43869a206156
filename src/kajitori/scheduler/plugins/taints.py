"""Taints keep pods away that do not tolerate them; soft ones only make a node less liked."""

import numpy as np

from kajitori.scheduler.framework import Change, Cluster, Filter, Score, Scores, scaled
from kajitori.scheduler.node_table import Mask, Taint
from kajitori.scheduler.pod_view import PodView

_HARD = ("NoSchedule", "NoExecute")


def _untolerated(pod: PodView, taints: tuple[Taint, ...], effects: tuple[str, ...]) -> int:
    return sum(taint[2] in effects and not pod.tolerates(*taint) for taint in taints)


class TaintToleration(Filter, Score):
    """Nodes with equal taints share one answer."""

    name = "TaintToleration"
    refusal = "node(s) had untolerated taint(s)"
    weight = 3
    wakes_on = Change.NODE

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        nodes = cluster.nodes
        if len(nodes.taint_classes) == 1:
            return None

        def compute() -> Mask | None:
            accepted = np.array([not _untolerated(pod, taints, _HARD) for taints in nodes.taint_classes])
            mask: Mask = accepted[nodes.taint_class]
            return None if mask.all() else mask

        mask: Mask | None = nodes.while_nodes_stay((self.name, "filter", pod.tolerations_key), compute)
        return mask

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        nodes = cluster.nodes

        def compute() -> Scores | None:
            soft = [_untolerated(pod, taints, ("PreferNoSchedule",)) for taints in nodes.taint_classes]
            return np.array(soft, float)[nodes.taint_class] if any(soft) else None

        soft: Scores | None = nodes.while_nodes_stay((self.name, "score", pod.tolerations_key), compute)
        return None if soft is None else scaled(soft, feasible, reverse=True)
