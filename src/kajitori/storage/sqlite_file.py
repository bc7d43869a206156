"""The SQLite file: its tables, how it is opened and locked, and what SQLite's errors mean to a user.

One row of `history` is one committed change. `current` finds the newest record of every key that exists. `previous` is
the revision of the record that a change replaced, 0 when there was none; a deletion has no value. `checksum` is of key,
revision and value (SQLite itself has none); rows of versions before 0.2 lack it. `meta` holds the format, the newest
revision, and the oldest one that can be read.
"""

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import apsw

from kajitori.storage.interface import FIRST, CannotOpen, Key, Revision, Unanswered, Unavailable
from kajitori.storage.sqlite_check import fault

FORMAT = 1

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE history (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    value BLOB,
    checksum INTEGER
);
CREATE UNIQUE INDEX history_by_key ON history (key, revision);
CREATE TABLE current (key TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('format', {FORMAT}), ('revision', {FIRST}), ('oldest', {FIRST});
"""

# Long enough for another program's look at the file (a backup, the sqlite3 shell).
BUSY_MS = 5_000
# What the write-ahead log's file keeps when it begins anew: a full log and what is written during its checkpoint.
WAL_BYTES_MAX = 96 << 20


class FileLock:
    """Keeps a second process from the file. The kernel lets go of it however this process ends."""

    def __init__(self, path: Path) -> None:
        """Raises CannotOpen, naming the holder."""
        self._path = path.with_name(path.name + ".lock")
        self._file = _open_lock(self._path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise CannotOpen(
                f"data directory {path.parent} is in use by process {holder}: "
                "stop that cluster (`kajitori down`) or choose another --data-dir"
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def _open_lock(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as error:
        raise CannotOpen(f"{path}: {error.strerror}: make the folder writable or choose another --data-dir") from error


def open_writer(path: Path, *, whole: bool = True) -> apsw.Connection:
    """The connection that writes; makes the file when there is none. Raises CannotOpen.

    Not `whole`: only what current objects are found by has been checked; write nothing before the rest is.
    """
    try:
        connection = _connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        path.chmod(0o600)
        connection.pragma("auto_vacuum", 2)  # incremental; must come before the first table
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "FULL")
        connection.pragma("journal_size_limit", WAL_BYTES_MAX)
        if not _tables(connection):
            with connection:
                connection.execute(_SCHEMA)
        _check_format(path, connection)
        _check_structure(path, connection, whole=whole or _lacks_checksums(connection))
        if _lacks_checksums(connection):
            connection.execute("ALTER TABLE history ADD COLUMN checksum INTEGER")
    except (apsw.Error, OSError) as error:
        raise CannotOpen(f"{path}: {_explain(error)}") from error
    return connection


def open_beside(path: Path) -> apsw.Connection:
    """For checkpoints, once `open_writer` has made sure of the file."""
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    connection.pragma("synchronous", "FULL")
    return connection


def open_reader(path: Path) -> apsw.Connection:
    return _connect(path, apsw.SQLITE_OPEN_READONLY)


def _connect(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(BUSY_MS)
    return connection


def _tables(connection: apsw.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def _check_format(path: Path, connection: apsw.Connection) -> None:
    if not {"meta", "history", "current"} <= _tables(connection):
        raise CannotOpen(f"{path}: not a Kajitori store: move the file away or choose another --data-dir")
    found = read_meta(connection).get("format")
    if found != FORMAT:
        raise CannotOpen(
            f"{path}: data format {found}, but this version reads format {FORMAT}: "
            "use the version that wrote it, or choose another --data-dir"
        )


def _check_structure(path: Path, connection: apsw.Connection, *, whole: bool) -> None:
    for table in ("",) if whole else ("meta", "current"):
        if found := fault(connection, table):
            raise CannotOpen(damaged(path, found))


def _lacks_checksums(connection: apsw.Connection) -> bool:
    return "checksum" not in {column for _, column, *_ in connection.execute("PRAGMA table_info(history)")}


def damaged(path: Path, found: str) -> str:
    return f"{path}: {_explain(apsw.CorruptError(found))}"


def suspicion(path: Path) -> Path:
    """A file beside the store's that says what was found wrong with it while it was in use: the next opening looks at
    everything before it begins."""
    return path.with_name(path.name + ".damaged")


def checksum(revision: Revision, key: Key, value: bytes | None) -> int:
    return zlib.crc32(value or b"", zlib.crc32(key.encode(), revision & 0xFFFFFFFF))


def verify(revision: Revision, key: Key, value: bytes | None, stored: int | None) -> None:
    """Raises apsw.CorruptError."""
    if stored is not None and stored != checksum(revision, key, value):
        raise apsw.CorruptError(f"{key} at revision {revision} does not match its checksum")


def read_meta(connection: apsw.Connection) -> dict[str, Any]:
    return dict(connection.execute("SELECT name, value FROM meta"))


@contextmanager
def unavailable(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into Unavailable that names the path, the reason and the remedy.

    A failed sync is Unanswered: the commit may stand in the log, and a power failure before the next one would bring it
    back. A full disk is not: the record that makes a commit one is the last that is written.
    """
    try:
        yield
    except apsw.IOError as error:
        raise Unanswered(f"{path}: {_explain(error)}") from error
    except apsw.Error as error:
        raise Unavailable(f"{path}: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    match error:
        case apsw.FullError():
            return "the disk is full and nothing was written: free some space, then try again"
        case apsw.IOError():
            return f"the disk failed, and what was being written may be lost ({error}): look at the kernel's log"
        case apsw.ReadOnlyError() | apsw.CantOpenError() | PermissionError():
            return f"cannot be written ({error}): check the permissions and that the file system is not read-only"
        case apsw.CorruptError() | apsw.NotADBError():
            return f"the file is damaged ({error}): restore a backup, or choose another --data-dir"
        case apsw.BusyError() | apsw.LockedError():
            return "another program holds the file: end it, then try again"
    return f"SQLite refuses: {error}"
