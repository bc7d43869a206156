"""The audit log's file: lines appended, a full file set aside, old ones deleted."""

import gzip
import logging
import os
import shutil
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kajitori.apiserver.configuration import BadConfiguration

log = logging.getLogger(__name__)

_MEGABYTE = 1 << 20
_PACKED = ".gz"
_DAY_S = 86400.0
_STAMP = "%Y-%m-%dT%H-%M-%S.%f"


@dataclass(frozen=True, slots=True)
class Rotation:
    """Zero backups or days keep all; zero megabytes never rotate. `compress` packs what is set aside."""

    megabytes: int = 100
    backups: int = 0
    days: int = 0
    compress: bool = False


class LogFile:
    """Written by one thread. Names of files set aside are `<stem>-<time><suffix>`, as upstream's are, with `.gz` where
    they are packed, which another thread does: nobody waits for it."""

    def __init__(self, path: Path | None, rotation: Rotation) -> None:
        """`path` None is the standard output. Raises BadConfiguration."""
        self._path = path
        self._rotation = rotation
        self._packing: threading.Thread | None = None
        self._file: IO[bytes] = self._open()
        self._size = 0 if path is None else os.fstat(self._file.fileno()).st_size

    def _open(self) -> IO[bytes]:
        if self._path is None:
            return sys.stdout.buffer
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Who may read the log knows what everybody does.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise BadConfiguration(f"--audit-log-path {self._path}: {error.strerror}: choose another place") from error
        return os.fdopen(descriptor, "ab")

    def write(self, lines: bytes, now_s: float) -> None:
        """Raises OSError."""
        limit = self._rotation.megabytes * _MEGABYTE
        if self._path is not None and limit and self._size and self._size + len(lines) > limit:
            self._set_aside(self._path, now_s)
        self._file.write(lines)
        self._file.flush()
        self._size += len(lines)

    def _set_aside(self, path: Path, now_s: float) -> None:
        self._file.close()
        stamp = datetime.fromtimestamp(now_s, UTC).strftime(_STAMP)
        path.replace(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        self._file = self._open()
        self._size = 0
        self._delete_old(path, now_s)
        if self._rotation.compress and not (self._packing and self._packing.is_alive()):
            waiting = [found for _, found in _set_aside_by(path) if found.suffix != _PACKED]
            self._packing = threading.Thread(target=_pack, args=(waiting,), name="audit log packing", daemon=True)
            self._packing.start()

    def _delete_old(self, path: Path, now_s: float) -> None:
        rotation = self._rotation
        for number, (written_s, old) in enumerate(_set_aside_by(path)):
            too_many = rotation.backups and number >= rotation.backups
            too_old = rotation.days and now_s - written_s > rotation.days * _DAY_S
            if too_many or too_old:
                old.unlink(missing_ok=True)

    def close(self) -> None:
        if self._path is not None:
            self._file.close()
        self.wait_for_packing()

    def wait_for_packing(self) -> None:
        if self._packing is not None:
            self._packing.join()


def _set_aside_by(path: Path) -> list[tuple[float, Path]]:
    """When it was set aside, and where it is; the newest first."""
    found = []
    for each in (*path.parent.glob(f"{path.stem}-*{path.suffix}"), *path.parent.glob(f"{path.stem}-*{_PACKED}")):
        stamp = each.name.removeprefix(f"{path.stem}-").removesuffix(_PACKED).removesuffix(path.suffix)
        try:
            found.append((datetime.strptime(f"{stamp}+0000", f"{_STAMP}%z").timestamp(), each))
        except ValueError:
            continue  # somebody else's
    return sorted(set(found), reverse=True)


def _pack(files: Sequence[Path]) -> None:
    """What cannot be packed stays as it is, until the next time."""
    for each in files:
        packed = each.with_name(each.name + _PACKED)
        unfinished = packed.with_name(packed.name + ".tmp")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with each.open("rb") as source, os.fdopen(descriptor, "wb") as target, gzip.open(target, "wb") as stream:
                shutil.copyfileobj(source, stream)
            unfinished.replace(packed)
            each.unlink()
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            log.warning("%s is kept as it is: it cannot be packed: %s", each, error)
