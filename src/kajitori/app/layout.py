"""Where a cluster keeps what: every path below the data directory has its name here and nowhere else."""

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """One node's part of the data directory."""

    root: Path
    runtime: Path
    """Sockets and pidfiles: short, because a Unix socket's path has at most 107 bytes."""

    @property
    def containerd_socket(self) -> Path:
        return self.runtime / "containerd.sock"


_NAMES = frozenset({"cluster", "lock", "supervisor", "kubeconfig", "pki", "store", "logs", "volumes"})
_NAMES |= {"parts", "identities", "nodes"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The data directory of one cluster."""

    root: Path

    def owns(self, name: str) -> bool:
        """Whether an entry of the data directory is one of these. Drafts of files begin with a dot."""
        return name.lstrip(".").split(".")[0] in _NAMES

    @property
    def record(self) -> Path:
        return self.root / "cluster.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def supervisor_pid(self) -> Path:
        return self.root / "supervisor.pid"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def store(self) -> Path:
        return self.root / "store.db"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def runtime(self) -> Path:
        """Below /run, one folder a data directory."""
        return Path("/run/kajitori") / hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    def state(self, part: str) -> Path:
        """What the supervisor knows of a part: pid, start, restarts."""
        return self.root / "parts" / f"{part}.json"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def identity(self, name: str) -> Path:
        """The kubeconfig of one of the cluster's own identities."""
        return self.root / "identities" / f"{name}.kubeconfig"

    def node(self, name: str) -> NodeLayout:
        return NodeLayout(self.root / "nodes" / name, self.runtime / name)
