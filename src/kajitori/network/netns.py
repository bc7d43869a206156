"""Living in a network namespace. `setns` changes only this: /sys and the cgroup mounts stay, unlike `ip netns exec`."""

import ctypes
import os
import threading
from pathlib import Path

from kajitori.network.errors import NetworkError

NETNS_DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000


def enter_netns(name: str) -> None:
    """Move this process into a named network namespace ("" stays). Call it before threads and event loops exist.

    A namespace belongs to a thread: those that start later inherit it, those that already run would not move.
    """
    if not name:
        return
    if threading.active_count() > 1:
        raise NetworkError(f"cannot enter network namespace {name}: threads are already running; enter it first")
    path = NETNS_DIRECTORY / name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NetworkError(f"network namespace {name} does not exist; `kajitori up` makes it") from None
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, _CLONE_NEWNET):
            reason = os.strerror(ctypes.get_errno())
            raise NetworkError(f"cannot enter network namespace {name}: {reason}; run as root")
    finally:
        os.close(descriptor)


def netns_names() -> list[str]:
    """Every named network namespace of this machine."""
    return sorted(path.name for path in NETNS_DIRECTORY.iterdir()) if NETNS_DIRECTORY.is_dir() else []
