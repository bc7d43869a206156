"""Forgetting, in two halves: at once nothing older can be read any more, and little by little the rows and pages go.

`oldest` is the first half, `swept` says how far the second has come. A step is a short transaction between those of the
writers, so that no write waits for more than a few milliseconds, however much there is to forget. Steps are not synced:
nobody is told of them, what is lost of them is done again, and the next write's sync comes after them in the same log.
"""

import apsw

from kajitori.storage.interface import Revision
from kajitori.storage.sqlite_file import read_meta

# Beyond the history's bound before it is moved, so that this is not done for every write.
SLACK_REVISIONS = 500
STEP_REVISIONS = 200
# Pages kept free for the next writes; more than these are given back to the file system, at most so many a step.
FREE_PAGES_KEPT = 1_000
STEP_PAGES = 200


class Compaction:
    """Belongs to the writer's thread and connection. Every method may raise apsw.Error, and has then done nothing."""

    def __init__(self, connection: apsw.Connection, history_revisions: int) -> None:
        self._connection = connection
        self._history_revisions = history_revisions
        meta = read_meta(connection)
        self.oldest: Revision = meta["oldest"]
        self._swept: Revision = meta.get("swept", self.oldest)
        self._has_surplus = True

    @property
    def pending(self) -> bool:
        return self._swept < self.oldest or self._has_surplus

    def bound(self, newest: Revision) -> None:
        """Keep the history within its bound."""
        if newest - self.oldest >= self._history_revisions + SLACK_REVISIONS:
            self.forget(newest - self._history_revisions)

    def forget(self, before: Revision) -> None:
        """From now on nothing older than `before` can be read."""
        if before > self.oldest:
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'oldest'", (before,))
            self.oldest = before

    def step(self) -> None:
        self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            self._step()
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")

    def _step(self) -> None:
        if self._swept < self.oldest:
            self._sweep(min(self.oldest, self._swept + STEP_REVISIONS))
        surplus = self._connection.pragma("freelist_count") - FREE_PAGES_KEPT
        if surplus > 0:
            self._connection.execute(f"PRAGMA incremental_vacuum({min(surplus, STEP_PAGES)})").fetchall()
        self._has_surplus = surplus > STEP_PAGES

    def _sweep(self, through: Revision) -> None:
        """Drop what a read at `through` or later cannot see: records that were replaced, and deletions."""
        span = (self._swept, through)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute(
                "DELETE FROM history WHERE revision IN "
                "(SELECT previous FROM history WHERE revision BETWEEN ? AND ? AND previous > 0)",
                span,
            )
            self._connection.execute("DELETE FROM history WHERE revision BETWEEN ? AND ? AND value IS NULL", span)
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('swept', ?)", (through,))
            self._connection.execute("COMMIT")
        except apsw.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._swept = through
