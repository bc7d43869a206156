"""Queries over the SQLite file. Each one is a read transaction, so that what it returns is of one revision."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import apsw

from kajitori.storage.interface import Compacted, Event, FutureRevision, Key, Page, Record, Revision
from kajitori.storage.ranges import prefix_end
from kajitori.storage.sqlite_file import read_meta, verify

# Events read from the history at a time for a watcher that is behind.
REPLAY_EVENTS = 500

_RECORD = "SELECT key, value, created, revision, checksum FROM history"

# The newest change of every key in a range at a revision, deletions left out.
_AT = """
SELECT h.key, h.value, h.created, h.revision, h.checksum FROM history h JOIN (
    SELECT max(revision) AS revision FROM history
    WHERE key >= :first AND (:end IS NULL OR key < :end) AND revision <= :at GROUP BY key
) newest ON newest.revision = h.revision WHERE h.value IS NOT NULL ORDER BY h.key LIMIT :limit
"""
# Of a record that `current` names and `history` lacks, there is a row without a value.
_CURRENT = """
SELECT c.key, h.value, h.created, c.revision, h.checksum
FROM current c LEFT JOIN history h ON h.revision = c.revision
"""
_NOW = f"""{_CURRENT}
WHERE c.key >= :first AND (:end IS NULL OR c.key < :end) ORDER BY c.key LIMIT :limit
"""
_COUNT_AT = """
SELECT count(*) FROM history h JOIN (
    SELECT max(revision) AS revision FROM history
    WHERE key >= :first AND (:end IS NULL OR key < :end) AND revision <= :at GROUP BY key
) newest ON newest.revision = h.revision WHERE h.value IS NOT NULL
"""
_COUNT_NOW = "SELECT count(*) FROM current WHERE key >= :first AND (:end IS NULL OR key < :end)"

_EVENTS = """
SELECT h.revision, h.key, h.value, h.created, h.checksum, p.revision, p.value, p.created, p.checksum
FROM history h LEFT JOIN history p ON p.revision = h.previous
WHERE h.revision > :after AND h.key >= :first AND (:end IS NULL OR h.key < :end)
ORDER BY h.revision LIMIT :limit
"""


class Reader:
    """Used by one thread at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def read(self, key: Key, at: Revision) -> Record | None:
        with self._snapshot(at) as (revision, newest):
            if revision == newest:
                row = self._connection.execute(f"{_CURRENT} WHERE c.key = ?", (key,)).fetchone()
                return record_of(*row) if row is not None else None
            query = f"{_RECORD} WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1"
            row = self._connection.execute(query, (key, revision)).fetchone()
            return record_of(*row) if row is not None and row[1] is not None else None

    def scan(self, prefix: Key, start: Key, limit: int, at: Revision) -> Page:
        with self._snapshot(at) as (revision, newest):
            values = {
                "first": max(prefix, start),
                "end": prefix_end(prefix),
                "at": revision,
                "limit": limit + 1 if limit else -1,
            }
            now = revision == newest
            found = [record_of(*row) for row in self._connection.execute(_NOW if now else _AT, values)]
            if not limit or len(found) <= limit:
                return Page(tuple(found), revision)
            ((total,),) = self._connection.execute(_COUNT_NOW if now else _COUNT_AT, values)
            return Page(tuple(found[:limit]), revision, True, total - limit)

    def events(self, prefix: Key, after: Revision) -> tuple[Sequence[Event], Revision]:
        """Some events of the prefix, and the revision up to which they are complete."""
        with self._snapshot(after) as (_, newest):
            values = {"after": after, "first": prefix, "end": prefix_end(prefix), "limit": REPLAY_EVENTS}
            events = [_event(*row) for row in self._connection.execute(_EVENTS, values)]
            return events, newest if len(events) < REPLAY_EVENTS else events[-1].revision

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _snapshot(self, at: Revision) -> Iterator[tuple[Revision, Revision]]:
        """The asked-for revision (the newest for LATEST) and the newest, within a read transaction."""
        self._connection.execute("BEGIN")
        try:
            meta = read_meta(self._connection)
            newest, oldest = meta["revision"], meta["oldest"]
            if at > newest:
                raise FutureRevision(at, newest)
            revision = at or newest
            if revision < oldest:
                raise Compacted(revision, oldest)
            yield revision, newest
        finally:
            self._connection.execute("ROLLBACK")


def record_of(key: Key, value: bytes | None, created: Revision, revision: Revision, stored: int | None) -> Record:
    """Raises apsw.CorruptError."""
    if value is None:
        raise apsw.CorruptError(f"{key} at revision {revision} is missing")
    verify(revision, key, value, stored)
    return Record(key, value, created, revision)


def _event(
    revision: Revision,
    key: Key,
    value: bytes | None,
    created: Revision,
    stored: int | None,
    previous_revision: Revision | None,
    previous_value: bytes | None,
    previous_created: Revision | None,
    previous_stored: int | None,
) -> Event:
    verify(revision, key, value, stored)
    record = None if value is None else Record(key, value, created, revision)
    previous = None
    if previous_revision is not None and previous_value is not None and previous_created is not None:
        previous = record_of(key, previous_value, previous_created, previous_revision, previous_stored)
    return Event(key, revision, record, previous)
