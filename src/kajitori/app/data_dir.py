"""The data directory as a folder: whether it is ours, made with care, and emptied of what is ours alone."""

import os
import shutil
from pathlib import Path

from kajitori.app.failure import about_file
from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError

_OF_THE_FILE_SYSTEM = frozenset({"lost+found"})
# Overlayfs takes its folders as one string with these between them.
_UNMOUNTABLE = ',:\\"\n'


DISK_FREE_MIN = 4 << 20
"""Bytes that a control plane alone needs to start at all; nodes need far more (see `doctor`)."""


def entries(layout: Layout) -> list[Path]:
    """What lies in the data directory; nothing when it does not exist. Raises CommandError."""
    try:
        return sorted(path for path in layout.root.iterdir() if path.name not in _OF_THE_FILE_SYSTEM)
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise CommandError(f"{layout.root} is a file: choose another place with --data-dir") from error
    except PermissionError as error:
        raise CommandError(f"{layout.root} belongs to another user: run this as root (sudo)") from error


def is_ours(layout: Layout) -> bool:
    """Whether a cluster was begun here, be it that its first `up` got nowhere."""
    return layout.record.exists() or (layout.pki / "ca.key").exists()


def refuse_foreign(layout: Layout) -> None:
    """Raises CommandError for a folder that others use."""
    if (found := entries(layout)) and not is_ours(layout):
        raise CommandError(
            f"{layout.root} is not empty (it has {found[0].name}) and is no data directory of Kajitori: "
            "choose an empty or new folder with --data-dir"
        )


def refuse_unmountable(layout: Layout) -> None:
    """Raises CommandError for a path that no container's file system can lie below."""
    if bad := sorted(set(str(layout.root)) & set(_UNMOUNTABLE)):
        raise CommandError(
            f"{layout.root} cannot hold containers, because overlayfs takes no {' '.join(map(repr, bad))} in a path: "
            "choose another place with --data-dir"
        )


def full_disk(layout: Layout) -> str:
    """What to say of a disk on which the store cannot be written; "" when there is room."""
    there = next(path for path in (layout.root, *layout.root.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    return (
        ""
        if free >= DISK_FREE_MIN
        else f"full: {free >> 10} KiB free at {there}, nothing can be written; free some space"
    )


def make(layout: Layout, *, with_runtime: bool) -> None:
    """The folder itself and, for nodes, the one of their sockets. Raises CommandError."""
    try:
        if with_runtime:
            layout.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"{error.filename} cannot be made ({error.strerror}), and nodes keep their sockets there: "
            "make /run a writable tmpfs, as it is on every Debian"
        ) from error
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(about_file(error, layout.root)) from error
    if not os.access(layout.root, os.W_OK | os.X_OK):
        raise CommandError(
            f"{layout.root} is not writable for uid {os.geteuid()}: choose another place with --data-dir, or run as "
            "its owner"
        )


def remove(layout: Layout) -> list[str]:
    """Delete everything of ours, and the folder if nothing else is in it; returns what was left, being others'."""
    shutil.rmtree(layout.runtime, ignore_errors=True)
    try:
        for path in entries(layout):
            if not layout.owns(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(
            f"{error.filename} could not be removed ({error.strerror}): end what uses it (`fuser -vm {layout.root}`), "
            "then run this again"
        ) from error
    left = [path.name for path in entries(layout)]
    if not left and not os.path.ismount(layout.root):
        layout.root.rmdir()
    return left
