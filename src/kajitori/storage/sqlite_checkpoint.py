"""Carrying SQLite's write-ahead log over into the file while the writer goes on.

A checkpoint of the whole log takes 50 to 150 ms, and SQLite's own would hold up every write for so long. Here a thread
with its own connection carries over what the log holds, then what came in the meantime; only what is left after that,
a few hundred pages, is for the writer's thread. With it the log is empty, and the next write begins it anew.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import apsw

# 60 MB, which are read in 0.1 s at an opening after a crash. A page that is written again meanwhile is carried over
# once, so fewer would cost more: with SQLite's own 1,000 a write took 8 us of CPU more.
CHECKPOINT_PAGES = 15_000
PASSES = 2


class Checkpoints:
    """Belongs to the writer's thread. A checkpoint that fails (a full disk) is begun again after the next write; until
    one succeeds, the log grows."""

    def __init__(self, writer: apsw.Connection, beside: apsw.Connection, pages: int = CHECKPOINT_PAGES) -> None:
        """`beside` is a second connection to the same file, from now on this object's own."""
        self._writer = writer
        self._beside = beside
        self._pages = pages
        self._log_pages = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store-checkpoint")
        self._carrying: Future[None] | None = None
        beside.wal_autocheckpoint(0)
        writer.set_wal_hook(self._committed)

    def _committed(self, _connection: apsw.Connection, _database: str, log_pages: int) -> int:
        self._log_pages = log_pages
        return apsw.SQLITE_OK

    def after_commit(self) -> None:
        """Does a step when there is one to do: begin, or end what the other thread has done its part of."""
        if self._carrying is None:
            if self._log_pages >= self._pages:
                self._carrying = self._thread.submit(self._carry)
        elif self._carrying.done():
            self._carrying = None
            _checkpoint(self._writer)

    def _carry(self) -> None:
        for _ in range(PASSES):
            _checkpoint(self._beside)

    def close(self) -> None:
        """Waits for the other thread; the writer's connection is left to its owner, who closes it last."""
        self._thread.shutdown()
        self._writer.set_wal_hook(None)
        self._beside.close()


def _checkpoint(connection: apsw.Connection) -> None:
    with suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
