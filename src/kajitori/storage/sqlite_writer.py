"""The one thread that writes. Everything that waits when it looks goes into one transaction: one fsync for all of it.

Compaction is done between transactions, in steps, so that no write waits for long; a step also gives freed pages back
to the file system.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from kajitori.storage.interface import (
    ABSENT,
    Change,
    Conflict,
    Event,
    Key,
    Put,
    Record,
    Revision,
    StorageError,
    Unavailable,
)
from kajitori.storage.sqlite_file import read_meta, unavailable
from kajitori.storage.sqlite_group import GroupStatements

logger = logging.getLogger(__name__)

# More would make the first of a group wait for the last.
GROUP_MAX = 512
COMPACT_STEP_REVISIONS = 500
# Pages kept free for the next writes; more than these are given back, at most so many a step.
FREE_PAGES_KEPT = 1_000
VACUUM_STEP_PAGES = 1_000


@dataclass(frozen=True, slots=True)
class Commit:
    change: Change
    expect: Revision | None


@dataclass(frozen=True, slots=True)
class Compact:
    before: Revision


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: the revision to answer or the error to raise, and the event, if there is one."""

    result: Revision | StorageError
    event: Event | None = None


class Stop:
    """Finish what was asked before, then end."""


Request = Commit | Compact | Stop
Publish = Callable[[Sequence[Outcome]], None]
"""Called in the writer's thread with the outcomes of requests, in the order they were submitted."""


class Writer(threading.Thread):
    """`submit` may be called from any thread; the caller bounds how much it leaves unanswered."""

    def __init__(self, path: Path, connection: apsw.Connection, publish: Publish, history_revisions: int) -> None:
        super().__init__(name="store-writer", daemon=True)
        self._path = path
        self._connection = connection
        self._publish = publish
        self._history_revisions = history_revisions
        self._queue: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._statements = GroupStatements(connection)
        meta = read_meta(connection)
        self.newest: Revision = meta["revision"]
        self._oldest: Revision = meta["oldest"]

    def submit(self, request: Request) -> None:
        self._queue.put(request)

    def run(self) -> None:
        while True:
            group = self._waiting()
            commits = [request for request in group if isinstance(request, Commit)]
            rest = group[len(commits) :]
            if commits:
                self._publish(self._commit(commits))
            for request in rest:
                if isinstance(request, Compact):
                    self._publish([self._compact_all(request.before)])
                elif isinstance(request, Stop):
                    self._connection.close()
                    self._publish([Outcome(self.newest)])
                    return
            self._compact_overdue()

    def _waiting(self) -> list[Request]:
        """Commits that wait, up to a group; anything else ends it and is its last member."""
        group = [self._queue.get()]
        while isinstance(group[-1], Commit) and len(group) < GROUP_MAX:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, commits: Sequence[Commit]) -> list[Outcome]:
        newest = self.newest
        try:
            with unavailable(self._path):
                current = self._statements.current([commit.change.key for commit in commits])
                outcomes = [self._decide(commit, current) for commit in commits]
                events = [outcome.event for outcome in outcomes if outcome.event is not None]
                if events:
                    self._statements.store(events)
        except Exception as error:
            # Whatever it was, this thread must live on: the others' writes depend on it.
            self.newest = newest
            if not isinstance(error, Unavailable):
                logger.exception("a group of %d writes failed", len(commits))
                error = Unavailable(f"{self._path}: a write failed ({error!r}) and nothing was written: try again")
            return [Outcome(error) for _ in commits]
        return outcomes

    def _decide(self, commit: Commit, current: dict[Key, Record]) -> Outcome:
        """What becomes of one commit, given the records that exist; they and `newest` are as after it then."""
        change = commit.change
        key = change.key
        before = current.get(key)
        if commit.expect is not None and commit.expect != (ABSENT if before is None else before.modified):
            return Outcome(Conflict(key, before))
        if isinstance(change, Put):
            revision = self.newest + 1
            record = Record(key, change.value, before.created if before else revision, revision)
            event = Event(key, revision, record, before)
            current[key] = record
        elif before is None:
            return Outcome(self.newest)
        else:
            revision = self.newest + 1
            event = Event(key, revision, None, before)
            del current[key]
        self.newest = revision
        return Outcome(revision, event)

    def _compact_all(self, before: Revision) -> Outcome:
        try:
            while self._oldest < before:
                self._compact_step(before)
            self._vacuum()
        except Unavailable as error:
            return Outcome(error)
        return Outcome(self._oldest)

    def _compact_overdue(self) -> None:
        """Keep the history's bounds, a step's worth at a time.

        A full disk is told to whoever writes; this is tried again after the next write.
        """
        try:
            while self.newest - self._oldest >= self._history_revisions + COMPACT_STEP_REVISIONS:
                self._compact_step(self.newest - self._history_revisions)
                self._vacuum()
        except Unavailable:
            return

    def _compact_step(self, before: Revision) -> None:
        """Drop what a read at `before` or later cannot see: records that were replaced, and deletions."""
        through = min(before, self._oldest + COMPACT_STEP_REVISIONS)
        span = (self._oldest, through)
        with unavailable(self._path), _transaction(self._connection):
            self._connection.execute(
                "DELETE FROM history WHERE revision IN "
                "(SELECT previous FROM history WHERE revision BETWEEN ? AND ? AND previous > 0)",
                span,
            )
            self._connection.execute("DELETE FROM history WHERE revision BETWEEN ? AND ? AND value IS NULL", span)
            self._connection.execute("UPDATE meta SET value = ? WHERE name = 'oldest'", (through,))
        self._oldest = through

    def _vacuum(self) -> None:
        with unavailable(self._path):
            surplus = self._connection.pragma("freelist_count") - FREE_PAGES_KEPT
            if surplus > 0:
                pages = min(surplus, VACUUM_STEP_PAGES)
                self._connection.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()


class _transaction:
    """BEGIN IMMEDIATE, then COMMIT, or ROLLBACK after an error (which SQLite may have done itself)."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except apsw.Error:
                self._rollback()
                raise
        else:
            self._rollback()

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
