"""mount(2) by way of libc."""

import ctypes
import os
from pathlib import Path


def mount_tmpfs(directory: Path, size_bytes: int = 0) -> None:
    """Raises OSError. Size 0 leaves the kernel's default (half of memory)."""
    directory.mkdir(parents=True, exist_ok=True)
    options = f"size={size_bytes}" if size_bytes else ""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", ctypes.c_ulong(0), options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"mounting tmpfs on {directory}: {os.strerror(number)}")


def is_mount(directory: Path) -> bool:
    return directory.is_dir() and directory.stat().st_dev != directory.parent.stat().st_dev
