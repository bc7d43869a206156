"""The decision: a pod and the cluster in, a node or the reasons why none out. Pure; the given random breaks ties."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kajitori.scheduler.framework import Cluster, Filter, Score, Unschedulable
from kajitori.scheduler.node_table import Mask
from kajitori.scheduler.plugins import FILTERS, SCORES
from kajitori.scheduler.pod_view import PodView


@dataclass(frozen=True, slots=True)
class Decision:
    """`node` is empty when none will do; `message` then says why, as an event does; `plugins` refused."""

    node: str = ""
    message: str = ""
    plugins: frozenset[str] = field(default_factory=frozenset)


class Profile:
    """Filters and scores in order."""

    def __init__(self, filters: Sequence[Filter] | None = None, scores: Sequence[Score] | None = None) -> None:
        self._filters = [kind() for kind in FILTERS] if filters is None else list(filters)
        self._scores = [kind() for kind in SCORES] if scores is None else list(scores)

    def decide(self, pod: PodView, cluster: Cluster, rng: random.Random) -> Decision:
        """The best node; among equals, a random one."""
        nodes = cluster.nodes
        if not len(nodes):
            return Decision(message="no nodes available to schedule pods")
        feasible = nodes.alive.copy()
        refused: list[tuple[Filter, list[int]]] = []
        try:
            for plugin in self._filters:
                mask = plugin.filter(pod, cluster)
                if mask is None:
                    continue
                lost = feasible & ~mask
                if lost.any():
                    refused.append((plugin, np.flatnonzero(lost).tolist()))
                    feasible &= mask
        except Unschedulable as refusal:
            return Decision(message=f"0/{len(nodes)} nodes are available: {refusal}", plugins=frozenset({plugin.name}))
        if not feasible.any():
            return self._refusal(pod, cluster, refused)
        return Decision(node=nodes.names[self._best(pod, cluster, feasible, rng)])

    def _best(self, pod: PodView, cluster: Cluster, feasible: Mask, rng: random.Random) -> int:
        candidates = np.flatnonzero(feasible)
        if len(candidates) == 1:
            return int(candidates[0])
        total = np.zeros(cluster.nodes.rows)
        for plugin in self._scores:
            scores = plugin.score(pod, cluster, feasible)
            if scores is not None:
                total += plugin.weight * scores
        best = candidates[total[candidates] == total[candidates].max()]
        return int(best[rng.randrange(len(best))])

    def _refusal(self, pod: PodView, cluster: Cluster, refused: list[tuple[Filter, list[int]]]) -> Decision:
        reasons: Counter[str] = Counter()
        for plugin, rows in refused:
            for row in rows:
                reasons.update(plugin.reason(pod, row, cluster))
        listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        return Decision(
            message=f"0/{len(cluster.nodes)} nodes are available: {listed}.",
            plugins=frozenset(plugin.name for plugin, _ in refused),
        )
