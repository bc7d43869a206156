"""What every store must do: one global revision, compare-and-swap writes, reads at a revision, watch from a revision.

StorageError
  Conflict    the key is not at the expected revision
  Compacted   the asked-for revision is gone
  FutureRevision  the asked-for revision does not exist yet
  CannotOpen  in use by another process, of another format, damaged
  Unavailable  the store cannot serve now (disk full, lost quorum); nothing was written
    Unanswered  the same, but what was asked may have been done, or may yet be
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Key = str
Revision = int

FIRST: Revision = 1
"""The revision of a store in which nothing has been written, as in etcd: the first write makes 2."""
LATEST: Revision = 0
ABSENT: Revision = 0
"""As `expect`: the key must not exist."""


class StorageError(Exception):
    """Anything the store refuses."""


class Conflict(StorageError):
    """`current` is the record as it stands, None when the key does not exist."""

    def __init__(self, key: Key, current: "Record | None") -> None:
        super().__init__(f"{key} is not at the expected revision")
        self.current = current


class Compacted(StorageError):
    """`oldest` is the lowest revision that can still be read."""

    def __init__(self, asked: Revision, oldest: Revision) -> None:
        super().__init__(f"revision {asked} has been compacted; the oldest is {oldest}")
        self.oldest = oldest


class FutureRevision(StorageError):
    def __init__(self, asked: Revision, current: Revision) -> None:
        super().__init__(f"revision {asked} is ahead of the current one, {current}")
        self.current = current


class CannotOpen(StorageError):
    """The store cannot be opened; the message names its place, the reason and the remedy."""


class Unavailable(StorageError):
    """The store cannot serve now; the message names the reason and the remedy."""


class Unanswered(Unavailable):
    """The store went silent: a write may have been done or not. Who needs to know reads."""


@dataclass(frozen=True, slots=True)
class Record:
    key: Key
    value: bytes
    created: Revision
    modified: Revision


@dataclass(frozen=True, slots=True)
class Page:
    """Records in key order at `revision`. `more` says whether others follow; `remaining` counts them."""

    records: tuple[Record, ...]
    revision: Revision
    more: bool = False
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class Put:
    key: Key
    value: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    key: Key


Change = Put | Delete


@dataclass(frozen=True, slots=True)
class Event:
    """One committed change. `record` is None for a deletion; `previous` is what stood there, None for a creation.

    `revision` is the change's own: for a put it equals `record.modified`.
    """

    key: Key
    revision: Revision
    record: Record | None
    previous: Record | None


class Storage(Protocol):
    """Every method may raise Unavailable. Revisions start at FIRST and grow by one with each change, for ever."""

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        """The record at that revision. Raises Compacted, FutureRevision."""

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        """Records whose key begins with `prefix`, from `start` (inclusive), at most `limit` (0: all).

        Raises Compacted, FutureRevision.
        """

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        """Write durably, then return the new revision.

        `expect` is the `modified` revision the key must be at, ABSENT for "must not exist", None for "whatever".
        Raises Conflict. Deleting an absent key with expect=None returns the current revision and changes nothing.
        """

    def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        """Every event of a revision greater than `after`, in order, without end. Raises Compacted on the first step.

        A consumer that falls behind the kept history gets Compacted later on. `after` may lie ahead of the current
        revision: then the events follow once they exist.
        """

    async def history(self, prefix: Key, after: Revision, until: Revision, limit: int) -> Sequence[Event]:
        """What `watch` would tell up to a revision that exists, at most the first `limit` events. Raises Compacted."""

    async def revision(self) -> Revision:
        """The newest committed revision."""

    def known_revision(self) -> Revision | None:
        """What `revision` would answer, where this process is the only writer and need not ask; None elsewhere."""

    async def compact(self, before: Revision) -> None:
        """Forget what was overwritten or deleted before this revision; current records stay."""

    async def take_turn(self, task: str, since: Revision) -> bool:
        """Whether this process is the one, of those that share the store, to do a periodic task.

        True for one of them, and for none once it has been done after revision `since`. Always true where a process
        has the store to itself.
        """

    async def size_bytes(self) -> int:
        """What the store takes on its disk, or in memory."""

    async def close(self) -> None: ...
