"""containerd's configuration as text, and what of this host it depends on."""

import json
from dataclasses import dataclass
from pathlib import Path

from kajitori.kubelet.pause_image import PAUSE_IMAGE

CAP_SYS_RESOURCE = 24
CRI_NAMESPACE = "k8s.io"
"""The containerd namespace in which CRI keeps images and containers."""
OVERLAY_ON_ITSELF = ("overlay", "fuse.fuse-overlayfs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerdConfig:
    root: Path
    """Images and snapshots; survives reboots."""
    state: Path
    """Sockets, pidfile and what runs now; short, below /run."""
    cni_conf_dir: Path
    cni_bin_dir: Path = Path("/usr/lib/cni")
    binary: str = "containerd"
    runtime_binary: str = "runc"

    @property
    def socket(self) -> Path:
        return self.state / "containerd.sock"

    @property
    def pid_file(self) -> Path:
        return self.state / "containerd.pid"

    @property
    def config_file(self) -> Path:
        return self.root / "config.toml"

    @property
    def log_file(self) -> Path:
        return self.root / "containerd.log"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def run_state(self) -> Path:
        return self.state / "containerd"


@dataclass(frozen=True, slots=True)
class HostTraits:
    """What containerd must be told about this host."""

    may_lower_oom_score: bool
    snapshotter: str


def read_host_traits(root: Path) -> HostTraits:
    """`root` is where snapshots will live: overlayfs does not stack on itself."""
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.split("CapEff:")[1].split()[0], 16)
    known = Path("/proc/filesystems").read_text().split()
    usable = (
        "overlay" in known and filesystem_of(root, Path("/proc/self/mountinfo").read_text()) not in OVERLAY_ON_ITSELF
    )
    return HostTraits(bool(capabilities >> CAP_SYS_RESOURCE & 1), "overlayfs" if usable else "native")


def filesystem_of(path: Path, mountinfo: str) -> str:
    """The type of the file system that holds `path`, by the longest mount point above it."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def config_toml(config: ContainerdConfig, traits: HostTraits) -> str:
    """Version 2 of the configuration, which containerd 1.6 and later read."""

    def quoted(value: object) -> str:
        return json.dumps(str(value))

    return f"""version = 2
root = {quoted(config.data)}
state = {quoted(config.run_state)}
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = {quoted(config.socket)}

[plugins."io.containerd.internal.v1.opt"]
  path = {quoted(config.root / "opt")}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {quoted(PAUSE_IMAGE)}
  restrict_oom_score_adj = {str(not traits.may_lower_oom_score).lower()}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_cgroup = false
  tolerate_missing_hugetlb_controller = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  device_ownership_from_security_context = false
  max_container_log_line_size = 16384

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {quoted(config.cni_bin_dir)}
    conf_dir = {quoted(config.cni_conf_dir)}
    max_conf_num = 1

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = {quoted(traits.snapshotter)}
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = {quoted(config.runtime_binary)}
        SystemdCgroup = false
"""
