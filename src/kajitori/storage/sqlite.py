"""The store in a SQLite file: durable (WAL, synchronous=FULL), one fsync for all writes that wait, bounded history.

The loop's thread never touches the disk: one thread writes, one reads, and the newest events are kept in memory.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from kajitori.storage import sqlite_check
from kajitori.storage.event_log import EventLog
from kajitori.storage.interface import (
    LATEST,
    Change,
    Event,
    FutureRevision,
    Key,
    Page,
    Record,
    Revision,
    StorageError,
    Unavailable,
)
from kajitori.storage.sqlite_check import LaterCheck
from kajitori.storage.sqlite_checkpoint import Checkpoints
from kajitori.storage.sqlite_file import (
    FileLock,
    damaged,
    open_beside,
    open_reader,
    open_writer,
    suspicion,
    unavailable,
)
from kajitori.storage.sqlite_reader import Reader
from kajitori.storage.sqlite_writer import Commit, Compact, Outcome, Request, Stop, Writer

# Revisions that stay readable and watchable: five minutes of history at 160 writes a second, and enough for a paged
# list while 3,000 a second come in. Older ones go after five minutes anyway (the API server asks for it).
HISTORY_REVISIONS = 50_000
# Requests the writer has not answered; more callers wait their turn.
UNANSWERED_MAX = 4_096

T = TypeVar("T")

logger = logging.getLogger(__name__)


class SqliteStorage:
    """Implements `kajitori.storage.interface.Storage`. Belongs to the event loop that opened it."""

    def __init__(self, path: Path, history_revisions: int) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._lock = FileLock(path)
        try:
            doubted = suspicion(path).exists()
            whole = doubted or _size_bytes(path) <= sqlite_check.AT_ONCE_BYTES
            writer = open_writer(path, whole=whole)
            if doubted:
                suspicion(path).unlink()
            check = None if whole else LaterCheck(open_reader(path))
            self._reader = Reader(open_reader(path))
            checkpoints = Checkpoints(writer, open_beside(path))
        except BaseException:
            self._lock.release()
            raise
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="store-reader")
        self._writer = Writer(path, writer, self._publish, history_revisions, checkpoints)
        self._log = EventLog(self._writer.newest, self._older)
        self._room = asyncio.Semaphore(UNANSWERED_MAX)
        self._unanswered: deque[asyncio.Future[Revision]] = deque()
        self._closed: Unavailable | None = None
        self._ended = False
        self._gathered: list[Request] = []
        self._check = check
        self._checking: asyncio.Task[None] | None = None
        if check is None:
            self._writer.start()
        else:
            self._checking = self._loop.create_task(self._look_at_the_rest(check), name="check of the store's file")

    @classmethod
    async def open(cls, path: Path, *, history_revisions: int = HISTORY_REVISIONS) -> "SqliteStorage":
        """Raises CannotOpen: in use by another process, of another format, damaged, not writable."""
        return cls(path, history_revisions)

    async def read(self, key: Key, at: Revision = LATEST) -> Record | None:
        if at not in (LATEST, self._log.newest):
            await self._whole()
        return await self._read(lambda: self._reader.read(key, at))

    async def scan(self, prefix: Key, start: Key = "", limit: int = 0, at: Revision = LATEST) -> Page:
        if at not in (LATEST, self._log.newest):
            await self._whole()
        return await self._read(lambda: self._reader.scan(prefix, start, limit, at))

    async def commit(self, change: Change, expect: Revision | None = None) -> Revision:
        return await self._write(Commit(change, expect))

    def watch(self, prefix: Key, after: Revision) -> AsyncIterator[Event]:
        return self._log.watch(prefix, after)

    async def history(self, prefix: Key, after: Revision, until: Revision, limit: int) -> Sequence[Event]:
        return await self._log.history(prefix, after, until, limit)

    async def revision(self) -> Revision:
        return self.known_revision()

    def known_revision(self) -> Revision:
        if self._closed is not None:
            raise self._closed
        return self._log.newest

    async def compact(self, before: Revision) -> None:
        if before > self._log.newest:
            raise FutureRevision(before, self._log.newest)
        await self._write(Compact(before))
        self._log.forget(before)

    async def take_turn(self, task: str, since: Revision) -> bool:
        return True

    async def size_bytes(self) -> int:
        """The file and its write-ahead log."""
        return _size_bytes(self._path)

    async def close(self) -> None:
        """Finish what was asked, then let go of the file."""
        if self._ended:
            return
        self._ended = True
        self._closed = Unavailable(f"{self._path}: the store is closed")
        self._log.close(self._closed)
        if self._check is not None and self._checking is not None:
            self._check.interrupt()
            await self._checking
        stopped = self._submit(Stop())
        if self._writer.ident is None:
            self._hand_over()
            self._writer.start()
        await stopped
        await self._loop.run_in_executor(self._reading, self._reader.close)
        self._reading.shutdown(wait=False)
        self._lock.release()

    async def _look_at_the_rest(self, check: LaterCheck) -> None:
        """Until then nothing is written, and nothing past is read."""
        found = await asyncio.to_thread(check.run)
        self._check = None
        if self._ended:
            return
        if not found:
            self._writer.start()
            return
        self._closed = Unavailable(damaged(self._path, found))
        self._log.close(self._closed)
        logger.error("%s", self._closed)
        with suppress(OSError):
            suspicion(self._path).write_text(found)

    async def _whole(self) -> None:
        if self._check is not None and self._checking is not None:
            await asyncio.shield(self._checking)

    async def _read(self, query: Callable[[], T]) -> T:
        if self._closed is not None:
            raise self._closed
        return await self._loop.run_in_executor(self._reading, self._translated, query)

    def _translated(self, query: Callable[[], T]) -> T:
        with unavailable(self._path):
            return query()

    async def _older(self, prefix: Key, after: Revision) -> tuple[Sequence[Event], Revision]:
        await self._whole()
        return await self._read(lambda: self._reader.events(prefix, after))

    async def _write(self, request: Request) -> Revision:
        if self._check is not None:
            await self._whole()
        await self._room.acquire()
        if self._closed is not None:
            self._room.release()
            raise self._closed
        return await self._submit(request)

    def _submit(self, request: Request) -> asyncio.Future[Revision]:
        answer: asyncio.Future[Revision] = self._loop.create_future()
        self._unanswered.append(answer)
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append(request)
        return answer

    def _hand_over(self) -> None:
        """What one turn of the event loop asks for goes to the writer together: it is woken once, and for a group."""
        for request in self._gathered:
            self._writer.submit(request)
        self._gathered.clear()

    def _publish(self, outcomes: Sequence[Outcome]) -> None:
        """In the writer's thread: hand the outcomes over to the loop's."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer, outcomes)

    def _answer(self, outcomes: Sequence[Outcome]) -> None:
        """Events first, so that who has written and then watches or asks for the revision finds it."""
        for outcome in outcomes:
            if outcome.event is not None:
                self._log.append(outcome.event)
        for outcome in outcomes:
            self._room.release()
            answer = self._unanswered.popleft()
            if answer.cancelled():
                continue
            if isinstance(outcome.result, StorageError):
                answer.set_exception(outcome.result)
            else:
                answer.set_result(outcome.result)


def _size_bytes(path: Path) -> int:
    """The file and its write-ahead log."""
    log = path.with_name(path.name + "-wal")
    return sum(file.stat().st_size for file in (path, log) if file.exists())
