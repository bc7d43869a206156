"""One running cluster a data directory, one cluster with real nodes a host: file locks, which die with their holder."""

import fcntl
import os
from pathlib import Path

from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError

HOST_LOCK = Path("/run/kajitori/host.lock")


def _lock(path: Path, note: str) -> str | None:
    """Take the lock until this process ends and leave a note; the holder's note when it is taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held = os.read(descriptor, 4096).decode(errors="replace").strip()
        os.close(descriptor)
        return held or "another process"
    os.ftruncate(descriptor, 0)
    os.write(descriptor, note.encode())
    return None


def lock_data_dir(layout: Layout) -> None:
    if holder := _lock(layout.lock, f"pid {os.getpid()}"):
        raise CommandError(
            f"the cluster in {layout.root} is already running ({holder}): "
            "see `kajitori status`, or stop it with `kajitori down`"
        )


def lock_host(layout: Layout) -> None:
    if holder := _lock(HOST_LOCK, str(layout.root)):
        raise CommandError(
            f"this host already runs the nodes of another cluster, {holder}: stop it with "
            f"`kajitori down --data-dir {holder}`, or start this one with `--nodes 0`"
        )


def is_running(layout: Layout) -> bool:
    """Whether a supervisor holds the data directory."""
    try:
        descriptor = os.open(layout.lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
