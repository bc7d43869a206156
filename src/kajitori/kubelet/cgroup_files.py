"""Writing a pod's own cgroup, above those of its containers: the shares and limits of the pod as a whole."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kajitori.kubelet.runtime import Resources

CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io")


def cpu_weight(shares: int) -> int:
    """cgroup v2's weight (1 to 10000) for v1's shares (2 to 262144)."""
    return 1 + (max(shares, 2) - 2) * 9999 // 262142


def files_v1(resources: Resources) -> Iterator[tuple[str, str, str]]:
    """Controller, file and content."""
    if resources.cpu_shares:
        yield "cpu", "cpu.shares", str(resources.cpu_shares)
    yield "cpu", "cpu.cfs_quota_us", str(resources.cpu_quota or -1)
    yield "memory", "memory.limit_in_bytes", str(resources.memory_limit_bytes or -1)


def files_v2(resources: Resources) -> Iterator[tuple[str, str]]:
    if resources.cpu_shares:
        yield "cpu.weight", str(cpu_weight(resources.cpu_shares))
    yield "cpu.max", f"{resources.cpu_quota or 'max'} {resources.cpu_period or 100_000}"
    yield "memory.max", str(resources.memory_limit_bytes or "max")


def make_pod_cgroup(cgroup: str, resources: Resources, root: Path) -> None:
    """Make or change it. What this host does not offer is left out: containers have limits of their own too."""
    relative = cgroup.strip("/")
    if (root / "cgroup.controllers").exists():
        directory = root / relative
        directory.mkdir(parents=True, exist_ok=True)
        _enable_controllers(root, directory)
        for name, content in files_v2(resources):
            _write(directory / name, content)
        return
    for controller, name, content in files_v1(resources):
        if (root / controller).is_dir():
            directory = root / controller / relative
            directory.mkdir(parents=True, exist_ok=True)
            _write(directory / name, content)


def _enable_controllers(root: Path, directory: Path) -> None:
    """Every ancestor must pass the controllers on."""
    for ancestor in reversed(directory.parents):
        if ancestor.is_relative_to(root):
            for controller in CONTROLLERS:
                _write(ancestor / "cgroup.subtree_control", f"+{controller}")


def _write(path: Path, content: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(content)
