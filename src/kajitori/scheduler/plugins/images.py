"""Nodes that have a pod's images already start it sooner."""

import numpy as np

from kajitori.scheduler.framework import SCORE_MAX, Cluster, Score, Scores
from kajitori.scheduler.node_table import Mask, NodeTable
from kajitori.scheduler.pod_view import PodView

# Upstream's bounds: smaller images hardly matter, larger ones (for each container) matter no more.
LEAST_BYTES, MOST_BYTES = 23 << 20, 1000 << 20


class ImageLocality(Score):
    """By bytes present; those of an image that few nodes have weigh less, lest all pods gather there."""

    name = "ImageLocality"

    def score(self, pod: PodView, cluster: Cluster, feasible: Mask) -> Scores | None:
        nodes = cluster.nodes
        scores: Scores | None = nodes.while_nodes_stay((self.name, pod.images), lambda: _scores(pod, nodes))
        return scores


def _scores(pod: PodView, nodes: NodeTable) -> Scores | None:
    present = np.zeros(nodes.rows)
    for image in pod.images:
        sizes = np.array([images.get(image, 0) for images in nodes.images])
        having = sum(image in images for images in nodes.images)
        present += np.floor(sizes * (having / max(len(nodes), 1)))
    most = MOST_BYTES * max(len(pod.images), 1)
    counted = np.clip(present, LEAST_BYTES, most) - LEAST_BYTES
    return np.floor(counted * SCORE_MAX / (most - LEAST_BYTES)) if counted.any() else None
