"""Two pods cannot have one host port."""

import numpy as np

from kajitori.scheduler.changes import Rows
from kajitori.scheduler.framework import Change, Cluster, Filter
from kajitori.scheduler.node_table import Mask
from kajitori.scheduler.pod_view import HostPort, PodView

_ANY_ADDRESS = "0.0.0.0"  # noqa: S104


class NodePorts(Filter):
    """A port on every address clashes with that port on any."""

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
            return np.array([not _clash(wanted, nodes.host_ports[row]) for row in some])

        return nodes.remember((self.name, wanted), compute)


def _clash(wanted: frozenset[HostPort], taken: set[HostPort]) -> bool:
    return any(
        protocol == other and port == number and (_ANY_ADDRESS in (address, at) or address == at)
        for protocol, address, port in wanted
        for other, at, number in taken
    )
