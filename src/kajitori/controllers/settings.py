"""What the control loops are told about their cluster. Numbers are upstream's defaults."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    root_ca_pem: str = ""
    """The CA that signs the API server's certificate; published to every namespace. Empty: not published."""
    pod_cidr: str = "10.244.0.0/16"
    """Where nodes' pod networks come from."""
    node_prefix_length: int = 24
    """How large a node's share of `pod_cidr` is."""
    volumes_dir: str = "/var/lib/kajitori/volumes"
    """Where the local-path provisioner makes directories, on the node of the pod."""
    control_plane_nodes: tuple[str, ...] = ()
    """The nodes on the control plane's own machine."""
    node_grace_s: float = 40.0
    """After how long without a sign of life a node counts as unreachable: its lease is renewed every 10 s."""
    terminated_pods_max: int = 12500
    """Beyond this many finished pods the oldest are deleted."""
