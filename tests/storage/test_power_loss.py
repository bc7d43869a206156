"""The power fails at any operation of the disk: what was acknowledged is there, and the store is as it was at a moment.

A seed replays a failure: `replay(seed)`.
"""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import apsw
import pytest
from crash_disk import CrashDisk, CrashVfs

from kajitori.storage.interface import FIRST, Delete, Put, Unanswered
from kajitori.storage.sqlite import SqliteStorage
from kajitori.storage.sqlite_file import open_writer, unavailable
from kajitori.storage.sqlite_writer import Commit, Compact, Stop, Writer

# A connection that is let go of after the power failed complains that it cannot tidy up.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

RUNS = 150
MANY_RUNS = int(os.environ.get("KAJITORI_CRASHES", "1000"))
KEYS = [f"/pods/{n}" for n in range(8)]


class Load:
    """Submits a batch, and the next one when it is answered, as callers do. `stored` is what each revision changed;
    `acknowledged` is the newest revision of which a caller was told."""

    def __init__(self, rng: random.Random, batches: int) -> None:
        self.rng = rng
        self.left = batches
        self.unanswered = 0
        self.stored: dict[int, tuple[str, bytes | None]] = {}
        self.acknowledged = FIRST
        self.existing: set[str] = set()
        self.failures = 0
        self.gone: Callable[[], bool] = lambda: False
        self.before: tuple[dict[int, tuple[str, bytes | None]], set[str]] = {}, set()

    def begin(self, writer: Writer) -> None:
        self.writer = writer
        self._submit()
        writer.run()

    def publish(self, outcomes) -> None:
        failed = sum(isinstance(outcome.result, Exception) for outcome in outcomes)
        if failed and len(outcomes) > 1 and not self.gone():
            # "Nothing was written" means all of them, for ever.
            assert failed == len(outcomes)
            self.stored, self.existing = self.before
            self.failures += 1
        for outcome in outcomes:
            if not isinstance(outcome.result, Exception):
                self.acknowledged = max(self.acknowledged, outcome.result)
        self.unanswered -= len(outcomes)
        if self.unanswered <= 0 and self.left >= 0:
            self._submit()

    def _submit(self) -> None:
        self.left -= 1
        if self.left < 0 or self.gone():
            self.left = -1
            self.writer.submit(Stop())
            return
        changes = [self._change() for _ in range(self.rng.randrange(2, 9))]
        revision = self.writer.newest
        self.before = dict(self.stored), set(self.existing)
        for change in changes:
            value = change.value if isinstance(change, Put) else None
            if value is None and change.key not in self.existing:
                continue
            (self.existing.discard if value is None else self.existing.add)(change.key)
            revision += 1
            self.stored[revision] = change.key, value
        self.unanswered = len(changes)
        for change in changes:
            self.writer.submit(Commit(change, None))
        if self.rng.random() < 0.2:
            self.unanswered += 1
            self.writer.submit(Compact(self.rng.randrange(FIRST, self.writer.newest + 1)))

    def _change(self) -> Put | Delete:
        key = self.rng.choice(KEYS)
        if self.rng.random() < 0.25:
            return Delete(key)
        return Put(key, self.rng.randbytes(self.rng.choice((10, 700, 9_000))))

    def state(self, at: int) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for revision in range(FIRST + 1, at + 1):
            key, value = self.stored[revision]
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        return found


def crash(seed: int, folder: Path, *, lying: bool = False, fills: bool = False) -> tuple[Load, CrashDisk]:
    """Write until the power fails, and leave in `folder` what the disk held."""
    rng = random.Random(seed)
    full = range(begin := rng.randrange(60, 300), begin + rng.randrange(5, 200)) if fills else range(0)
    disk = CrashDisk(dies_at=int(rng.triangular(1, 700, 40)), lying=lying, full=full)
    load = Load(rng, batches=rng.randrange(1, 40))
    load.gone = lambda: disk.dead
    pages = rng.choice((5, 30, 1_000))

    def configure(connection: apsw.Connection) -> None:
        connection.pragma("locking_mode", "exclusive")  # needs no shared memory
        connection.pragma("wal_autocheckpoint", pages)

    vfs = CrashVfs(disk)
    apsw.connection_hooks.append(configure)
    path = folder / "state.db"
    path.touch()  # of which the real file system knows only this
    try:
        load.begin(Writer(path, open_writer(path), load.publish, 20))
    except Exception:
        if not disk.dead:
            raise
    finally:
        for connection in apsw.connections():
            with suppress(apsw.Error):
                connection.close(force=True)
        apsw.connection_hooks.remove(configure)
        vfs.unregister()
    disk.dies_at = 0
    disk.after_crash(folder, rng)
    return load, disk


async def check(folder: Path, load: Load) -> None:
    store = await SqliteStorage.open(folder / "state.db")
    try:
        newest = await store.revision()
        assert newest >= load.acknowledged
        assert {r.key: r.value for r in (await store.scan("")).records} == load.state(newest)
        assert await store.commit(Put("/after", b"")) == newest + 1
    finally:
        await store.close()


def replay(seed: int, folder: Path, *, fills: bool = False) -> tuple[Load, CrashDisk]:
    folder.mkdir()
    load, disk = crash(seed, folder, fills=fills)
    try:
        asyncio.run(check(folder, load))
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error!r}") from error
    return load, disk


def test_what_was_acknowledged_survives_the_power(tmp_path: Path):
    acknowledged = [replay(seed, tmp_path / str(seed))[0].acknowledged for seed in range(RUNS)]
    assert max(acknowledged) > 50 and FIRST in acknowledged


def test_what_was_acknowledged_survives_a_disk_that_fills_up_and_then_the_power(tmp_path: Path):
    loads = [replay(seed, tmp_path / str(seed), fills=True)[0] for seed in range(RUNS)]
    assert sum(load.failures for load in loads) > 20
    assert max(load.acknowledged for load in loads) > 50


@pytest.mark.e2e
def test_what_was_acknowledged_survives_thousands_of_crashes(tmp_path: Path):
    begin = random.SystemRandom().randrange(1 << 40)
    for seed in range(begin, begin + MANY_RUNS):
        replay(seed, tmp_path / str(seed), fills=seed % 3 == 0)


def test_a_disk_that_lies_is_found_out(tmp_path: Path):
    """The test above can fail: without the syncs, acknowledged writes are lost."""
    lost = 0
    for seed in range(60):
        folder = tmp_path / str(seed)
        folder.mkdir()
        load, _ = crash(seed, folder, lying=True)
        try:
            asyncio.run(check(folder, load))
        except Exception:
            lost += 1
    assert lost > 10


def test_every_acknowledgement_follows_a_sync(tmp_path: Path):
    """Counted, for those who do not believe simulations."""
    disk = CrashDisk(dies_at=1 << 60)
    load = Load(random.Random(1), batches=50)
    syncs: list[int] = []
    publish = load.publish

    def counted(outcomes) -> None:
        syncs.append(disk.syncs)
        publish(outcomes)

    def exclusive(connection: apsw.Connection) -> None:
        connection.pragma("locking_mode", "exclusive")

    vfs = CrashVfs(disk)
    apsw.connection_hooks.append(exclusive)
    try:
        path = tmp_path / "state.db"
        path.touch()
        writer = Writer(path, open_writer(path), counted, 1_000)
        opened = disk.syncs
        load.begin(writer)
    finally:
        apsw.connection_hooks.remove(exclusive)
        vfs.unregister()
    groups = len(syncs) - 1  # the last answer is that of the stop
    assert groups >= 50
    assert syncs[:-1] == sorted(syncs[:-1]) and syncs[groups - 1] - opened >= 50


def test_a_commit_whose_sync_fails_is_neither_done_nor_undone(tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="what was being written may be lost"), unavailable(tmp_path):
        raise apsw.IOError("disk I/O error")
