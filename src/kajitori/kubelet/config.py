"""What one node agent is told when it starts. Read once, in `app`; everything below takes values."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from kajitori.kubelet.containerd_config import ContainerdConfig

VERSION = "v1.36.2+kajitori"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletConfig:
    node_name: str
    node_ip: str
    root_dir: Path
    """Below it: `pods/` (volumes, hosts files, termination messages) and `logs/` (container logs)."""
    containerd: ContainerdConfig
    serving_certificate: Path | None = None
    """PEM; without it the node serves no API of its own (no logs, no exec)."""
    serving_key: Path | None = None
    client_ca: Path | None = None
    """Whose client certificates the node's API accepts."""
    listen_address: str = "0.0.0.0"  # noqa: S104 -- every address of its namespace, with client certificates only
    port: int = 10250
    cluster_dns: tuple[str, ...] = ("10.96.0.10",)
    cluster_domain: str = "cluster.local"
    resolv_conf: Path = Path("/etc/resolv.conf")
    max_pods: int = 110
    labels: dict[str, str] = field(default_factory=dict)
    capacity_overrides: dict[str, str] = field(default_factory=dict)
    """Capacity to claim instead of what the machine shows, such as `{"cpu": "2"}` when nodes share one machine."""
    heartbeat_s: float = 10.0
    status_every_s: float = 300.0
    version: str = VERSION
    cgroup_root: Path = Path("/sys/fs/cgroup")
    log_bytes_max: int = 10 * 1024 * 1024
    log_files_max: int = 5

    @property
    def pods_dir(self) -> Path:
        return self.root_dir / "pods"

    @property
    def pod_logs_dir(self) -> Path:
        return self.root_dir / "logs"

    @property
    def cgroup(self) -> str:
        """The cgroup below which all pods of this node live. Nodes and whole clusters may share a machine."""
        digest = hashlib.sha256(str(self.root_dir).encode()).hexdigest()[:8]
        return f"/kajitori-{digest}-{self.node_name}"

    def pod_dir(self, uid: str) -> Path:
        return self.pods_dir / uid

    def log_directory(self, namespace: str, name: str, uid: str) -> Path:
        return self.pod_logs_dir / f"{namespace}_{name}_{uid}"
