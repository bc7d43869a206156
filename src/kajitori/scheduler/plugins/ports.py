"""Two pods cannot have one host port."""

import numpy as np

from kajitori.api.pods import host_ports_clash
from kajitori.scheduler.changes import Rows
from kajitori.scheduler.framework import Change, Cluster, Filter
from kajitori.scheduler.node_table import Mask
from kajitori.scheduler.pod_view import PodView


class NodePorts(Filter):
    name = "NodePorts"
    refusal = "node(s) didn't have free ports for the requested pod ports"
    wakes_on = Change.NODE | Change.POD_LEFT
    yields_to_preemption = True

    def filter(self, pod: PodView, cluster: Cluster) -> Mask | None:
        wanted, nodes = pod.host_ports, cluster.nodes
        if not wanted:
            return None

        def compute(rows: Rows) -> Mask:
            some = range(*rows.indices(nodes.rows)) if isinstance(rows, slice) else rows.tolist()
            return np.array([not host_ports_clash(wanted, nodes.host_ports[row]) for row in some])

        return nodes.remember((self.name, wanted), compute)
