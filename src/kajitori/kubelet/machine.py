"""What this machine is: processors, memory, disk, kernel, distribution."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from kajitori.kubelet.eviction import Headroom
from kajitori.kubelet.pause_image import host_architecture


@dataclass(frozen=True, slots=True)
class Machine:
    cpus: int
    memory_bytes: int
    disk_bytes: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def memory_bytes(meminfo: str, field: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def read_headroom(disk: Path) -> Headroom:
    usage = os.statvfs(disk)
    available = memory_bytes(_text("/proc/meminfo"), "MemAvailable")
    return Headroom(available, usage.f_bavail * usage.f_frsize, usage.f_blocks * usage.f_frsize)


def read_machine(disk: Path) -> Machine:
    """`disk` is a directory on the file system that holds pods and images."""
    usage = os.statvfs(disk)
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=memory_bytes(_text("/proc/meminfo"), "MemTotal"),
        disk_bytes=usage.f_blocks * usage.f_frsize,
        architecture=host_architecture(),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
    )
