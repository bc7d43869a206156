"""What a plugin is. A filter answers for all nodes at once with a mask, a score with an array.

class OnlyGreen(Filter):
    name = "OnlyGreen"

    def filter(self, pod, cluster):
        return cluster.nodes.label_column("colour") == cluster.nodes.value_id("green")

    def reason(self, pod, row, cluster):
        return "node(s) weren't green"
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kajitori.api.meta import Object, ObjectKey
from kajitori.scheduler.match_counts import MatchCounts
from kajitori.scheduler.node_table import Mask, NodeTable
from kajitori.scheduler.pod_view import PodView

Scores = NDArray[np.float64]
SCORE_MAX = 100


@dataclass(slots=True)
class Cluster:
    """All that a decision may look at. The mappings are other parts' caches: read only."""

    nodes: NodeTable
    counts: MatchCounts
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of each namespace."""
    claims: Mapping[ObjectKey, Object] = field(default_factory=dict)
    volumes: Mapping[ObjectKey, Object] = field(default_factory=dict)
    storage_classes: Mapping[ObjectKey, Object] = field(default_factory=dict)


class Unschedulable(Exception):
    """No node will do, whatever it is like; the message says why, in upstream's words."""


class Filter:
    """Keeps the nodes that will do."""

    name: ClassVar[str] = ""

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        """bool[rows], or None when this plugin has nothing to say about this pod. May raise Unschedulable."""
        raise NotImplementedError

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        """Why that node was refused, in upstream's words, without a number."""
        raise NotImplementedError


class Score:
    """Prefers some nodes. `weight` multiplies what the plugin says."""

    name: ClassVar[str] = ""
    weight: ClassVar[int] = 1

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        """float64[rows] from 0 to SCORE_MAX (only feasible nodes count), or None for no opinion."""
        raise NotImplementedError


def scaled(raw: Scores, feasible: Mask, *, reverse: bool = False) -> Scores:
    """Stretch to 0..SCORE_MAX so that the largest raw score becomes the maximum (or, reversed, 0)."""
    most = float(raw[feasible].max(initial=0))
    if most <= 0:
        return np.full(raw.shape, float(SCORE_MAX if reverse else 0))
    result = np.floor(raw * SCORE_MAX / most)
    return SCORE_MAX - result if reverse else result
