"""A disk under SQLite that loses power: what was not yet synced survives in part, in any order, torn at sectors.

Files are in memory. `synced` is what the disk has for certain; `pending` are the writes since the last sync, of which
a crash keeps a random choice, some of them only up to a sector's end. The disk counts its operations and dies at the
one it is told; afterwards every operation fails, as they do for a process whose machine has gone.
"""

import random
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512

Pending = tuple[int, bytes] | int
"""A write at an offset, or the length to truncate to."""


class DiskFile:
    def __init__(self) -> None:
        self.live = bytearray()
        self.synced = b""
        self.pending: list[Pending] = []
        # Whether the folder's entry for it has reached the disk.
        self.entered = False

    def apply(self, image: bytearray, change: Pending) -> None:
        if isinstance(change, int):
            del image[change:]
            return
        offset, data = change
        if len(image) < offset:
            image.extend(bytes(offset - len(image)))
        image[offset : offset + len(data)] = data

    def after_crash(self, rng: random.Random) -> bytes:
        image = bytearray(self.synced)
        keep = rng.choice((0.0, 0.3, 0.7, 1.0))
        for change in self.pending:
            if rng.random() >= keep:
                continue
            if not isinstance(change, int) and rng.random() < 0.2:
                offset, data = change
                change = offset, data[: SECTOR * rng.randrange(len(data) // SECTOR + 1)]
            self.apply(image, change)
        return bytes(image)


class CrashDisk:
    """`dies_at` counts writes, truncations, syncs and deletions. A `lying` disk says that it has synced and has not.
    Within `full` of these operations the log cannot grow. (Nor could the database, but of a checkpoint that fails after
    a commit SQLite tells nobody, while apsw raises what this module raises.)"""

    def __init__(self, dies_at: int, *, lying: bool = False, full: range = range(0)) -> None:
        self.files: dict[str, DiskFile] = {}
        self.operations = 0
        self.syncs = 0
        self.dies_at = dies_at
        self.lying = lying
        self.full = full

    @property
    def dead(self) -> bool:
        return self.operations >= self.dies_at

    def operate(self) -> None:
        if self.dead:
            raise apsw.IOError
        self.operations += 1

    def after_crash(self, folder: Path, rng: random.Random) -> None:
        """What the disk holds when the machine comes back."""
        for name, file in self.files.items():
            if file.entered or rng.random() < 0.5:
                folder.joinpath(Path(name).name).write_bytes(file.after_crash(rng))


POWERSAFE_OVERWRITE = 0x1000
"""SQLITE_IOCAP_POWERSAFE_OVERWRITE, as SQLite's own file layer says: a torn write spares its neighbours."""


class OpenFile:
    """What SQLite asks of a file (https://sqlite.org/c3ref/io_methods.html). No shared memory: one connection only."""

    def __init__(self, disk: CrashDisk, file: DiskFile, name: str) -> None:
        self._disk = disk
        self._is_log = name.endswith("-wal")
        self._file = file

    def xRead(self, amount: int, offset: int) -> bytes:
        if self._disk.dead:
            raise apsw.IOError
        return bytes(self._file.live[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._is_log and self._disk.operations in self._disk.full and offset + len(data) > len(self._file.live):
            self._disk.operate()
            raise apsw.FullError
        self._change((offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        self._change(size)

    def _change(self, change: Pending) -> None:
        # The write at which the power fails may still have reached the disk in part.
        if not self._disk.dead:
            self._file.pending.append(change)
        self._disk.operate()
        self._file.apply(self._file.live, change)

    def xSync(self, _flags: int) -> None:
        self._disk.operate()
        self._disk.syncs += 1
        if not self._disk.lying:
            self._file.synced = bytes(self._file.live)
            self._file.pending.clear()
            self._file.entered = True

    def xFileSize(self) -> int:
        return len(self._file.live)

    def xClose(self) -> None: ...

    def xLock(self, _level: int) -> None: ...

    def xUnlock(self, _level: int) -> None: ...

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, _operation: int, _pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return POWERSAFE_OVERWRITE


class CrashVfs(apsw.VFS):
    """SQLite's default file system while it is registered."""

    def __init__(self, disk: CrashDisk) -> None:
        self._disk = disk
        super().__init__("crash", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        flags[1] = flags[0]
        where = name if isinstance(name, str) else name.filename() if name else f"temporary-{len(self._disk.files)}"
        return OpenFile(self._disk, self._disk.files.setdefault(where, DiskFile()), where)

    def xDelete(self, filename: str, _sync_folder: bool) -> None:
        self._disk.operate()
        self._disk.files.pop(filename, None)

    def xAccess(self, filename: str, _flags: int) -> bool:
        return filename in self._disk.files

    def xFullPathname(self, name: str) -> str:
        return name
