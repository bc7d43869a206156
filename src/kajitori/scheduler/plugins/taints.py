"""Taints keep pods away that do not tolerate them; soft ones only make a node less liked."""

import numpy as np

from kajitori.scheduler.framework import Cluster, Filter, Score, Scores, scaled
from kajitori.scheduler.node_table import Mask, Taint
from kajitori.scheduler.pod_view import PodView

_HARD = ("NoSchedule", "NoExecute")


def _untolerated(pod: PodView, taints: tuple[Taint, ...], effects: tuple[str, ...]) -> list[Taint]:
    return [taint for taint in taints if taint[2] in effects and not pod.tolerates(*taint)]


class TaintToleration(Filter, Score):
    """Nodes with equal taints share one answer."""

    name = "TaintToleration"
    weight = 3

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        classes = cluster.nodes.taint_classes
        if len(classes) == 1:
            return None
        accepted = np.array([not _untolerated(pod, taints, _HARD) for taints in classes])
        result: Mask = accepted[cluster.nodes.taint_class]
        return result

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        taints = cluster.nodes.taint_classes[cluster.nodes.taint_class[row]]
        key, value, _ = _untolerated(pod, taints, _HARD)[0]
        return [f"node(s) had untolerated taint {{{key}: {value}}}"]

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        classes = cluster.nodes.taint_classes
        soft = np.array([len(_untolerated(pod, taints, ("PreferNoSchedule",))) for taints in classes], float)
        return scaled(soft[cluster.nodes.taint_class], feasible, reverse=True) if soft.any() else None
