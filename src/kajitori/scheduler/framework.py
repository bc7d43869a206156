"""What a plugin is. A filter answers for all nodes at once with a mask, a score with an array.

class OnlyGreen(Filter):
    name = "OnlyGreen"
    refusal = "node(s) weren't green"

    def filter(self, pod, cluster):
        nodes = cluster.nodes
        return nodes.label_column("colour") == nodes.value_id("colour", "green")

Scheduler(client, cache, clock, recorder, profile=Profile().with_plugins(OnlyGreen())), or in a configuration document:
see `configuration`.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kajitori.api.meta import Object, ObjectKey
from kajitori.api.selectors import LabelSelector
from kajitori.scheduler.match_counts import MatchCounts
from kajitori.scheduler.node_table import Mask, NodeTable
from kajitori.scheduler.pod_view import PodView

Scores = NDArray[np.float64]
SCORE_MAX = 100


class Change(Flag):
    """What happened to the cluster, as far as it may let a refused pod fit."""

    NODE = auto()
    """A node was added, or its labels, taints, room or cordon changed."""
    POD_LEFT = auto()
    """A pod that had a node is over, gone or asks for less."""
    POD_CAME = auto()
    """A pod got a node, or other labels."""
    STORAGE = auto()
    """A claim, a volume, a class or a node's driver."""
    ANY = NODE | POD_LEFT | POD_CAME | STORAGE


@dataclass(frozen=True, slots=True)
class Nomination:
    """A pod for which others were made to leave a node: their room is its own."""

    pod: PodView
    node: str


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
    csi_nodes: Mapping[ObjectKey, Object] = field(default_factory=dict)
    nominated: dict[str, Nomination] = field(default_factory=dict)
    """By uid of the pod."""
    reserved_volumes: dict[str, ObjectKey] = field(default_factory=dict)
    """Volumes chosen for a claim whose binding is being written."""

    default_selector: Callable[[PodView], LabelSelector | None] = lambda _: None
    """What selects the pods that belong together with this one, if anything does (see `groups`)."""


class Unschedulable(Exception):
    """No node will do, whatever it is like; the message says why, in upstream's words."""


class Filter:
    """Keeps the nodes that will do."""

    name: ClassVar[str] = ""
    refusal: ClassVar[str] = ""
    """Why it refuses a node, in upstream's words, without a number; override `reason` when it depends."""
    wakes_on: ClassVar[Change] = Change.ANY
    """What may change its mind about a pod."""
    yields_to_preemption: ClassVar[bool] = False
    """Whether it may take a node after all once pods have left."""

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        """bool[rows], or None when this plugin has nothing to say about this pod. May raise Unschedulable."""
        raise NotImplementedError

    def reason(self, pod: PodView, row: int, cluster: Cluster) -> list[str]:
        """Why that node was refused."""
        return [self.refusal]

    def reasons(self, pod: PodView, refused: Mask, cluster: Cluster) -> Counter[str]:
        """How many of the refused nodes were refused for each reason."""
        rows = np.flatnonzero(refused)
        if type(self).reason is Filter.reason:
            return Counter({self.refusal: len(rows)})
        return Counter(reason for row in rows.tolist() for reason in self.reason(pod, row, cluster))

    def helped_by_preemption(self, pod: PodView, refused: Mask, cluster: Cluster) -> Mask:
        """The refused nodes that may do once pods have left."""
        return refused if self.yields_to_preemption else np.zeros_like(refused)


class Score:
    """Prefers some nodes. `weight` multiplies what the plugin says."""

    name: ClassVar[str] = ""
    weight: ClassVar[int] = 1

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        """float64[rows], whole numbers from 0 to SCORE_MAX (only feasible nodes count), or None for no opinion."""
        raise NotImplementedError


def scaled(raw: Scores, feasible: Mask, *, reverse: bool = False) -> Scores:
    """Stretch to 0..SCORE_MAX so that the largest raw score becomes the maximum (or, reversed, 0)."""
    most = float(raw[feasible].max(initial=0))
    if most <= 0:
        return np.full(raw.shape, float(SCORE_MAX if reverse else 0))
    result = np.floor(raw * SCORE_MAX / most)
    return SCORE_MAX - result if reverse else result
