"""One running cluster a data directory, one cluster with real nodes a host: file locks, which die with their holder."""

import fcntl
import os
import time
from pathlib import Path

from kajitori.app.failure import about_file
from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError

HOST_LOCK = Path("/run/kajitori/host.lock")
LOOKING_S = 0.02


def _lock(path: Path, note: str) -> int | str:
    """Take the lock and leave a note: the descriptor that holds it until it is closed, or the note of the holder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(about_file(error, path)) from error
    if not _try(descriptor):
        held = os.read(descriptor, 4096).decode(errors="replace").strip()
        os.close(descriptor)
        return held or "another process"
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
    except OSError as error:
        os.close(descriptor)
        raise CommandError(about_file(error, path)) from error
    return descriptor


def _try(descriptor: int) -> bool:
    """Whether the lock could be had. A command that only looks at it holds it for an instant, so this tries again."""
    for last in (False, False, True):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not last:
                time.sleep(LOOKING_S)
    return False


def lock_data_dir(layout: Layout) -> int:
    """The descriptor to close when the data directory is free again. Raises CommandError."""
    taken = _lock(layout.lock, f"pid {os.getpid()}")
    if isinstance(taken, str):
        raise CommandError(
            f"the cluster in {layout.root} is already running ({taken}): "
            "see `kajitori status`, or stop it with `kajitori down`"
        )
    return taken


def lock_host(layout: Layout) -> int:
    """The descriptor to close when another cluster may have nodes here. Raises CommandError."""
    taken = _lock(HOST_LOCK, str(layout.root))
    if isinstance(taken, str):
        raise _host_is_taken(taken)
    return taken


def refuse_taken_host() -> None:
    """Raises CommandError while another cluster's nodes run here; takes nothing."""
    if holder := _holder(HOST_LOCK):
        raise _host_is_taken(holder)


def _host_is_taken(holder: str) -> CommandError:
    return CommandError(
        f"this host already runs the nodes of another cluster, {holder}: stop it with "
        f"`kajitori down --data-dir {holder}`, or start this one with `--nodes 0`"
    )


def host_is_free() -> bool:
    """Whether no cluster with nodes runs on this host."""
    return _holder(HOST_LOCK) is None


def is_running(layout: Layout) -> bool:
    """Whether a supervisor holds the data directory."""
    return _holder(layout.lock) is not None


def supervisor_of(layout: Layout) -> int | None:
    """The process that holds the data directory; None when it has not noted its number."""
    number = (_holder(layout.lock) or "").removeprefix("pid ")
    return int(number) if number.isdigit() else None


def _holder(path: Path) -> str | None:
    """The note of whoever holds the lock; None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise CommandError(f"{path} belongs to another user: run this as root (sudo)") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 4096).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
    return None
