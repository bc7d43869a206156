"""The audit log's file: lines appended, a full file set aside, old ones deleted."""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kajitori.apiserver.configuration import BadConfiguration

_MEGABYTE = 1 << 20
_DAY_S = 86400.0
_STAMP = "%Y-%m-%dT%H-%M-%S.%f"


@dataclass(frozen=True, slots=True)
class Rotation:
    """Zero backups or days keep all; zero megabytes never rotate."""

    megabytes: int = 100
    backups: int = 0
    days: int = 0


class LogFile:
    """Written by one thread. Names of files set aside are `<stem>-<time><suffix>`, as upstream's are."""

    def __init__(self, path: Path | None, rotation: Rotation) -> None:
        """`path` None is the standard output. Raises BadConfiguration."""
        self._path = path
        self._rotation = rotation
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

    def _delete_old(self, path: Path, now_s: float) -> None:
        rotation, aside = self._rotation, []
        for found in path.parent.glob(f"{path.stem}-*{path.suffix}"):
            try:
                stamp = found.name.removeprefix(f"{path.stem}-").removesuffix(path.suffix)
                aside.append((datetime.strptime(f"{stamp}+0000", f"{_STAMP}%z").timestamp(), found))
            except ValueError:
                continue  # somebody else's
        for number, (written_s, old) in enumerate(sorted(aside, reverse=True)):
            too_many = rotation.backups and number >= rotation.backups
            too_old = rotation.days and now_s - written_s > rotation.days * _DAY_S
            if too_many or too_old:
                old.unlink(missing_ok=True)

    def close(self) -> None:
        if self._path is not None:
            self._file.close()
