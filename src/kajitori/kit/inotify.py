"""inotify(7): being told that the files of directories grew, moved or appeared."""

import asyncio
import ctypes
import os
from pathlib import Path
from types import TracebackType
from typing import Self

IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_CREATE, IN_DELETE = 0x2, 0x40, 0x80, 0x100, 0x200
IN_CLOEXEC, IN_NONBLOCK = 0o2000000, 0o4000
EVENTS_BYTES = 64 * 1024


class DirectoryWatch:
    """`wait` returns once for any number of changes since the last time."""

    def __init__(self, *directories: Path) -> None:
        """Raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(IN_CLOEXEC | IN_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify: too many watches on this machine")
        mask = IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
        for directory in directories:
            if libc.inotify_add_watch(self._descriptor, os.fsencode(directory), mask) < 0:
                os.close(self._descriptor)
                raise OSError(ctypes.get_errno(), f"cannot watch {directory}")
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        try:
            os.read(self._descriptor, EVENTS_BYTES)
        except BlockingIOError:
            return
        self._changed.set()

    def wake(self) -> None:
        """Something else has happened that the waiter should look at."""
        self._changed.set()

    async def wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
