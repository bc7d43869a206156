"""The addresses and names of a cluster's network. What we make is named so that it is found without any record."""

from dataclasses import dataclass
from ipaddress import IPv4Network

NETNS_PREFIX = "kajitori-node-"
UPLINK_PREFIX = "kajitori-n"
POD_BRIDGE = "cni-kajitori"
CNI_NETWORK = "kajitori"
TABLE_PREFIX = "kajitori-"


@dataclass(frozen=True, slots=True)
class ClusterNetwork:
    """Nodes share `node_cidr` on one bridge of the host, which is the first node and the others' gateway."""

    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    node_cidr: str = "10.89.0.0/24"
    bridge: str = "kajitori0"
    mtu: int = 1500

    def node_ip(self, number: int) -> str:
        """Address of the node with this number; numbers start at 1, the host itself."""
        network = IPv4Network(self.node_cidr)
        if not 1 <= number < network.num_addresses - 1:
            raise ValueError(f"node {number} does not fit into {self.node_cidr}")
        return str(network[number])

    @property
    def gateway(self) -> str:
        return self.node_ip(1)

    @property
    def node_prefix_length(self) -> int:
        return IPv4Network(self.node_cidr).prefixlen


def netns_of(number: int) -> str:
    """Name of the network namespace of a node; "" for the first, which lives in the host's own."""
    return f"{NETNS_PREFIX}{number}" if number > 1 else ""


def uplink_of(number: int) -> str:
    """Name, in the host, of the veth that leads to a node."""
    return f"{UPLINK_PREFIX}{number}"
