"""The two SQL statements of a group of commits: one that finds what stands at its keys, one that stores it durably.

Every call into SQLite lets go of the interpreter's lock and must win it back from the event loop's thread, which takes
up to a switch interval (5 ms) while that is busy. Six calls a write made the writer wait longer than the disk does. So
a whole group is one multi-row INSERT into a view, whose trigger does in SQLite what each row means; outside an explicit
transaction the statement is one by itself, with its fsync inside.
"""

from collections.abc import Sequence
from functools import lru_cache

import apsw

from kajitori.storage.interface import Event, Key, Record
from kajitori.storage.sqlite_file import checksum
from kajitori.storage.sqlite_reader import record_of

# The view and the trigger live in the connection, not in the file: its format stays what it is.
_INCOMING = """
CREATE TEMP VIEW incoming AS SELECT revision, key, created, previous, value, checksum FROM history;
CREATE TEMP TRIGGER take_in INSTEAD OF INSERT ON incoming BEGIN
    INSERT INTO history (revision, key, created, previous, value, checksum)
        VALUES (NEW.revision, NEW.key, NEW.created, NEW.previous, NEW.value, NEW.checksum);
    INSERT OR REPLACE INTO current SELECT NEW.key, NEW.revision WHERE NEW.value IS NOT NULL;
    DELETE FROM current WHERE key = NEW.key AND NEW.value IS NULL;
    UPDATE meta SET value = NEW.revision WHERE name = 'revision';
END;
"""
_COLUMNS = 6


class GroupStatements:
    """Belongs to the connection that writes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        connection.pragma("temp_store", "MEMORY")
        connection.execute(_INCOMING)

    def current(self, keys: Sequence[Key]) -> dict[Key, Record]:
        """The records that exist, by key."""
        rows = _rows(len(keys))
        found = self._connection.execute(_select(rows), (*keys, *(None,) * (rows - len(keys))))
        return {row[0]: record_of(*row) for row in found}

    def store(self, events: Sequence[Event]) -> None:
        """All of them or, when this raises, none."""
        rows = _rows(len(events))
        values: list[object] = []
        for event in events:
            revision, key, record = event.revision, event.key, event.record
            created, value = (record.created, record.value) if record is not None else (0, None)
            previous = event.previous.modified if event.previous is not None else 0
            values += (revision, key, created, previous, value, checksum(revision, key, value))
        values += (None,) * (_COLUMNS * (rows - len(events)))
        self._connection.execute(_insert(rows), values)


def _rows(count: int) -> int:
    """Groups are padded with empty rows to a power of two, so that a few prepared statements serve all sizes."""
    return 1 << (count - 1).bit_length()


@lru_cache(maxsize=16)
def _select(rows: int) -> str:
    return (
        "SELECT h.key, h.value, h.created, h.revision, h.checksum "
        f"FROM current c JOIN history h ON h.revision = c.revision WHERE c.key IN ({', '.join(['?'] * rows)})"
    )


@lru_cache(maxsize=16)
def _insert(rows: int) -> str:
    columns = ", ".join(f"column{number}" for number in range(1, _COLUMNS + 1))
    row = f"({', '.join(['?'] * _COLUMNS)})"
    return f"INSERT INTO incoming SELECT {columns} FROM (VALUES {', '.join([row] * rows)}) WHERE column1 IS NOT NULL"
