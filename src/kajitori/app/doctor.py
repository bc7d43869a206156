"""`kajitori doctor`: what this host lacks to run nodes, and the command that mends it."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
DISK_FREE_MIN = 2 << 30
# The first versions whose interfaces are used: CRI v1, `nft` with JSON-free maps of verdicts and meters.
CONTAINERD_MIN, RUNC_MIN, NFT_MIN = (1, 6), (1, 0), (1, 0)
# `ip -json -batch`; the portmap plugin's `iptables -w`.
IP_MIN, IPTABLES_MIN = (5, 0), (1, 8)
PYTHON_PACKAGES = ("grpc", "google.protobuf", "dns", "envoy")
"""Modules of the extra `node`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `remedy` is empty when all is well; a fatal finding keeps nodes from running."""

    name: str
    found: str
    remedy: str = ""
    fatal: bool = False


def node_findings(data_dir: Path) -> list[Finding]:
    """Everything a node needs from its host, well or not."""
    checks: tuple[Callable[[], Finding], ...] = (
        _root,
        lambda: _program("containerd", ("containerd", "--version"), CONTAINERD_MIN, "containerd"),
        lambda: _program("runc", ("runc", "--version"), RUNC_MIN, "runc"),
        lambda: _program("nft", ("nft", "--version"), NFT_MIN, "nftables"),
        lambda: _program("ip", ("ip", "-Version"), IP_MIN, "iproute2"),
        lambda: _program("iptables", ("iptables", "--version"), IPTABLES_MIN, "iptables"),
        _cni,
        _python_packages,
        _overlay,
        _cgroups,
        _inotify,
        lambda: _disk(data_dir),
    )
    return [check() for check in checks]


def show_diagnosis(data_dir: Path) -> int:
    findings = node_findings(data_dir)
    for finding in findings:
        mark = "no  " if finding.fatal else "warn" if finding.remedy else "ok  "
        click.echo(f"{mark} {finding.name:15} {finding.found}")
        if finding.remedy:
            click.echo(f"     {'':15} -> {finding.remedy}")
    fatal = sum(finding.fatal for finding in findings)
    click.echo("this host can run nodes" if not fatal else f"{fatal} of {len(findings)} keep nodes from running here")
    return 1 if fatal else 0


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("user", "root")
    return Finding("user", f"uid {os.geteuid()}", "run as root: sudo kajitori up (or --nodes 0)", fatal=True)


def _program(name: str, command: tuple[str, ...], at_least: tuple[int, ...], package: str) -> Finding:
    path = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        return Finding(name, "not found", f"apt-get install {package}", fatal=True)
    try:
        output = subprocess.run([path, *command[1:]], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, f"{path} does not run ({error})", f"apt-get install --reinstall {package}", fatal=True)
    match = re.search(r"\bv?(\d+)\.(\d+)(?:\.(\d+))?", output)
    version = tuple(int(part) for part in match.groups() if part) if match else ()
    shown = ".".join(map(str, version)) or "of unknown version"
    if version and version < at_least:
        wanted = ".".join(map(str, at_least))
        return Finding(name, f"{shown} at {path} is too old", f"install {package} {wanted} or newer", fatal=True)
    return Finding(name, f"{shown} at {path}")


def cni_folder() -> Path | None:
    """The folder that has every CNI plugin a node uses."""
    return next((f for f in CNI_FOLDERS if all((f / plugin).exists() for plugin in CNI_PLUGINS)), None)


def _cni() -> Finding:
    if folder := cni_folder():
        return Finding("CNI plugins", str(folder))
    wanted = ", ".join(CNI_PLUGINS)
    return Finding("CNI plugins", f"{wanted} not found", "apt-get install containernetworking-plugins", fatal=True)


def _python_packages() -> Finding:
    missing = [name for name in PYTHON_PACKAGES if not _has_module(name)]
    if not missing:
        return Finding("Python packages", "all")
    return Finding("Python packages", f"{', '.join(missing)} not found", "pip install 'kajitori[node]'", fatal=True)


def _has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _overlay() -> Finding:
    if "\toverlay\n" in Path("/proc/filesystems").read_text():
        return Finding("overlayfs", "in the kernel")
    return Finding("overlayfs", "not loaded", "modprobe overlay (without it images are copied, which is slow)")


def _cgroups() -> Finding:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return Finding("cgroups", "version 2")
    if Path("/sys/fs/cgroup/memory").exists() and Path("/sys/fs/cgroup/cpu").exists():
        return Finding("cgroups", "version 1")
    return Finding(
        "cgroups", "no cpu and memory controllers below /sys/fs/cgroup", "mount the cgroup2 file system", True
    )


def _inotify() -> Finding:
    instances = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if instances >= 128:
        return Finding("inotify", f"{instances} instances")
    return Finding("inotify", f"only {instances} instances", "sysctl -w fs.inotify.max_user_instances=512")


def _disk(data_dir: Path) -> Finding:
    there = next(path for path in (data_dir, *data_dir.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    shown = f"{free / (1 << 30):.1f} GiB free at {there}"
    if free >= DISK_FREE_MIN:
        return Finding("disk", shown)
    return Finding(
        "disk", shown, f"free some space: images and data need {DISK_FREE_MIN >> 30} GiB", fatal=free < 1 << 28
    )
