"""The one thread that writes. Everything that waits when it looks goes into one transaction: one fsync for all of it.

What compaction has to do (`sqlite_compaction`) is done in steps: one after so many writes, and while nobody writes.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
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
from kajitori.storage.sqlite_checkpoint import Checkpoints
from kajitori.storage.sqlite_compaction import STEP_REVISIONS, Compaction
from kajitori.storage.sqlite_file import read_meta, unavailable
from kajitori.storage.sqlite_group import GroupStatements

logger = logging.getLogger(__name__)

# More would make the first of a group wait for the last.
GROUP_MAX = 512
# Two revisions are swept for each that is written: what has piled up gets less under any load.
WRITES_A_STEP = STEP_REVISIONS // 2
# Nothing asked for so long: there is time for a step.
QUIET_S = 0.02


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

    def __init__(
        self,
        path: Path,
        connection: apsw.Connection,
        publish: Publish,
        history_revisions: int,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Without `checkpoints` SQLite does its own, which hold up the writes."""
        super().__init__(name="store-writer", daemon=True)
        self._path = path
        self._connection = connection
        self._publish = publish
        self._queue: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._statements = GroupStatements(connection)
        self._compaction = Compaction(connection, history_revisions)
        self._checkpoints = checkpoints
        self._resting = False
        self._written = 0
        self.newest: Revision = read_meta(connection)["revision"]

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
                    self._publish([self._forget(request.before)])
                elif isinstance(request, Stop):
                    # On a full disk the log stays, and is worked off at the next opening.
                    with suppress(apsw.Error):
                        self._close()
                    self._publish([Outcome(self.newest)])
                    return
            if self._checkpoints is not None:
                self._checkpoints.after_commit()
            self._tidy(len(commits), quiet=not group)

    def _close(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._connection.close()

    def _waiting(self) -> list[Request]:
        """Commits that wait, up to a group; anything else ends it and is its last member. Empty when there is time to
        tidy up."""
        try:
            pending = self._compaction.pending and not self._resting
            group = [self._queue.get(timeout=QUIET_S if pending else None)]
        except queue.Empty:
            return []
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

    def _forget(self, before: Revision) -> Outcome:
        try:
            with unavailable(self._path):
                self._compaction.forget(before)
        except Unavailable as error:
            return Outcome(error)
        return Outcome(self._compaction.oldest)

    def _tidy(self, written: int, *, quiet: bool) -> None:
        """A full disk is told to whoever writes; this is tried again after the next write."""
        self._written += written
        try:
            with unavailable(self._path):
                self._compaction.bound(self.newest)
                while self._compaction.pending and (quiet or self._written >= WRITES_A_STEP):
                    self._compaction.step()
                    self._written -= WRITES_A_STEP
                    quiet = False
        except Unavailable:
            self._resting = True
        else:
            self._resting = False
        self._written = max(0, min(self._written, WRITES_A_STEP))
