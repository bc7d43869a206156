"""What the SQLite store promises beyond the others: it survives, it stays small, and it says what is wrong."""

import asyncio
import itertools
import shutil
from pathlib import Path

import apsw
import pytest

from kajitori.storage import sqlite_writer
from kajitori.storage.factory import open_storage
from kajitori.storage.interface import FIRST, CannotOpen, Compacted, Delete, Put, Record, Unavailable
from kajitori.storage.sqlite import SqliteStorage
from kajitori.storage.sqlite_file import open_writer

A, B = "/pods/a", "/pods/b"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "state.db"


@pytest.fixture(autouse=True)
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's thread tidies up between writes alone: between them a test may look at its connection."""
    monkeypatch.setattr(sqlite_writer, "QUIET_S", 3_600.0)


async def swept(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the writer tidy up to the end, though nothing is written."""
    oldest = store._writer._compaction.oldest
    monkeypatch.setattr(sqlite_writer, "QUIET_S", 0.0)
    await store.compact(oldest)  # it looks at the time again
    while store._writer._compaction.pending:
        await asyncio.sleep(0.01)
    await store.compact(oldest)  # its last step is over when it answers


def on(path: Path, scenario, **options):
    """Open, run `scenario(store)`, close."""

    async def main():
        store = await SqliteStorage.open(path, **options)
        try:
            return await asyncio.wait_for(scenario(store), 30)
        finally:
            await store.close()

    return asyncio.run(main())


async def fill(store, count, size=10, key=A):
    await asyncio.gather(*(store.commit(Put(key, b"%d" % n + b"x" * size)) for n in range(count)))


def test_everything_is_there_after_a_restart(path: Path):
    async def before(store):
        one = await store.commit(Put(A, b"1"))
        await store.commit(Put(B, b"1"))
        await store.commit(Put(A, b"2"))
        await store.commit(Delete(B))
        return one

    async def after(store):
        assert await store.revision() == one + 3
        assert await store.read(A) == Record(A, b"2", one, one + 2)
        assert await store.read(A, one) == Record(A, b"1", one, one)
        assert [r.key for r in (await store.scan("")).records] == [A]
        assert await store.commit(Put(B, b"2")) == one + 4

    one = on(path, before)
    on(path, after)


def test_a_watch_from_before_a_restart_is_replayed(path: Path):
    async def replay(store):
        stream = store.watch("/pods/", FIRST)
        events = [await anext(stream) for _ in range(1_300)]
        await store.commit(Delete(A))
        events.append(await anext(stream))
        await stream.aclose()
        assert [e.revision for e in events] == list(range(FIRST + 1, FIRST + 1_302))
        assert all(e.previous == b.record for b, e in itertools.pairwise(events))
        assert events[-1].record is None

    on(path, lambda store: fill(store, 1_300))
    on(path, replay)


def test_what_was_compacted_before_a_restart_stays_so(path: Path):
    async def before(store):
        await fill(store, 10)
        await store.commit(Delete(A))
        await store.compact(await store.revision())

    async def after(store):
        assert await store.revision() == FIRST + 11
        with pytest.raises(Compacted):
            await anext(store.watch("", FIRST + 5))
        assert await store.commit(Put(A, b"")) == FIRST + 12

    on(path, before)
    on(path, after)


def test_writes_that_wait_share_a_transaction(path: Path):
    commits = 0

    async def scenario(store):
        def count() -> bool:
            nonlocal commits
            commits += 1
            return False

        store._writer._connection.set_commit_hook(count)
        await fill(store, 1_000)

    on(path, scenario)
    assert commits <= 50


def test_the_file_is_durable_and_gives_space_back(path: Path):
    async def scenario(store):
        pragma = store._writer._connection.pragma
        assert (pragma("journal_mode"), pragma("synchronous"), pragma("auto_vacuum")) == ("wal", 2, 2)

    on(path, scenario)


def test_a_key_written_for_ever_does_not_grow_the_file(path: Path):
    sizes = []
    for _ in range(10):
        on(path, lambda store: fill(store, 1_000, size=4_000), history_revisions=200)
        sizes.append(path.stat().st_size)
    # 200 revisions of history, a step of 500 and 1,000 spare pages make 7 MB; 40 MB have been written.
    assert max(sizes) < 12 << 20


def test_space_of_what_was_deleted_is_given_back(path: Path):
    async def write(store):
        await asyncio.gather(*(store.commit(Put(f"/pods/{n}", b"x" * 8_000)) for n in range(3_000)))

    async def delete(store):
        await asyncio.gather(*(store.commit(Delete(f"/pods/{n}")) for n in range(3_000)))
        await fill(store, 2_000)

    on(path, write, history_revisions=100)
    full = path.stat().st_size
    on(path, delete, history_revisions=100)
    assert path.stat().st_size < full / 2


def test_only_its_owner_may_read_the_file(path: Path):
    on(path, lambda store: fill(store, 1))
    assert path.stat().st_mode & 0o077 == 0


def test_a_second_opening_names_the_data_directory(path: Path):
    async def scenario(store):
        with pytest.raises(CannotOpen, match=rf"{path.parent} is in use by process \d+: .*--data-dir"):
            await SqliteStorage.open(path)
        await fill(store, 1)

    on(path, scenario)
    on(path, lambda store: fill(store, 1))


def test_another_data_format_is_refused(path: Path):
    on(path, lambda store: fill(store, 1))
    with apsw.Connection(str(path)) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE name = 'format'")
    connection.close()
    with pytest.raises(CannotOpen, match=r"state.db: data format 99, but this version reads format 1: use the version"):
        on(path, lambda store: fill(store, 1))


def test_someone_elses_database_is_refused(path: Path):
    path.parent.mkdir()
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE kine (id INTEGER)")
    connection.close()
    with pytest.raises(CannotOpen, match="not a Kajitori store"):
        on(path, lambda store: fill(store, 1))


def test_a_file_that_is_no_database_is_refused(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(CannotOpen, match="damaged"):
        on(path, lambda store: fill(store, 1))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotOpen, match="file"):
        on(tmp_path / "file" / "state.db", lambda store: fill(store, 1))


def test_a_refused_opening_lets_go_of_the_lock(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"hello" * 1000)
    for _ in range(2):
        with pytest.raises(CannotOpen, match="damaged"):
            on(path, lambda store: fill(store, 1))


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(path: Path):
    async def until_full(store):
        await fill(store, 10)
        pragma = store._writer._connection.pragma
        pragma("max_page_count", pragma("page_count") + 20)
        kept = {}
        for n in range(1_000):
            try:
                kept[f"/pods/{n}"] = await store.commit(Put(f"/pods/{n}", b"x" * 5_000))
            except Unavailable as error:
                assert str(error).startswith(f"{path}: the disk is full and nothing was written: free some space")
                break
        else:
            raise AssertionError("the disk never filled up")
        full_at = await store.revision()
        # Reads go on, small writes may, and once there is room so do all.
        assert (await store.read(A)).value.startswith(b"9")
        pragma("max_page_count", 1 << 30)
        assert await store.commit(Put(B, b"x" * 5_000)) == full_at + 1
        return kept

    async def after(store):
        for key, revision in kept.items():
            assert (await store.read(key)).modified == revision
        assert await store.revision() == max(kept.values()) + 1

    kept = on(path, until_full)
    assert kept
    on(path, after)


def test_a_write_that_cannot_be_stored_does_not_stop_the_others(path: Path, caplog):
    async def scenario(store):
        with pytest.raises(Unavailable, match="nothing was written"):
            await store.commit(Put(A, "not bytes but \ud800"))
        assert await store.commit(Put(A, b"1")) == FIRST + 1

    on(path, scenario)


def test_a_caller_that_gives_up_does_not_mix_up_the_answers(path: Path):
    async def scenario(store):
        calls = [asyncio.ensure_future(store.commit(Put(A, b"%d" % n))) for n in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[1::2] == list(range(FIRST + 2, FIRST + 21, 2))
        assert await store.commit(Put(A, b"")) == FIRST + 21

    on(path, scenario)


def test_whatever_of_the_log_is_torn_a_prefix_of_history_survives(path: Path, tmp_path: Path):
    """A crash may leave any part of what was not yet synced: what opens is the store as it was at some moment."""

    async def write(store):
        for n in range(12):
            await store.commit(Put(f"/pods/{n % 3}", b"%d" % n * 300))
        shutil.copytree(path.parent, tmp_path / "crashed")

    async def check(store):
        newest = await store.revision()
        expected = {f"/pods/{n % 3}": b"%d" % n * 300 for n in range(newest - FIRST)}
        assert {r.key: r.value for r in (await store.scan("")).records} == expected
        assert await store.commit(Put("/pods/new", b"")) == newest + 1
        return newest

    on(path, write)
    wal = (tmp_path / "crashed" / "state.db-wal").read_bytes()
    survived = set()
    for cut in range(len(wal), 0, -len(wal) // 40):
        torn = tmp_path / f"torn-{cut}"
        torn.mkdir()
        shutil.copy(tmp_path / "crashed" / "state.db", torn)
        (torn / "state.db-wal").write_bytes(wal[:cut] + bytes(len(wal) - cut))
        try:
            survived.add(on(torn / "state.db", check))
        except CannotOpen:
            # Torn before even the empty tables were synced: nothing had been acknowledged.
            assert cut < len(wal) // 3
    assert max(survived) == FIRST + 12 and min(survived) < FIRST + 12


def test_the_factory_opens_what_a_configuration_names(tmp_path: Path):
    async def main():
        for where in ("memory", f"sqlite:{tmp_path}/a.db", f"{tmp_path}/b.db", tmp_path / "c.db"):
            store = await open_storage(where)
            assert await store.revision() == FIRST
            await store.close()
        for where in ("postgres", "sqlite:", "", "mysql:x"):
            with pytest.raises(CannotOpen, match="unknown kind"):
                await open_storage(where)

    asyncio.run(main())
    assert {p.name for p in tmp_path.iterdir()} >= {"a.db", "b.db", "c.db"}


def test_a_fresh_file_is_made_with_its_folder(path: Path):
    path.parent.mkdir()
    connection = open_writer(path)
    connection.close()
    assert path.exists()


def test_no_write_waits_for_a_long_history_to_be_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Seen in the order of things, not on the clock: the write is done while most is still to be swept."""

    async def scenario(store):
        for n in range(20):
            await fill(store, 500, key=f"/pods/{n}")
        asked = await store.revision()
        compacting = asyncio.ensure_future(store.compact(asked))
        await store.commit(Put(B, b"1"))
        await compacting
        assert store._writer._compaction.pending
        with pytest.raises(Compacted):
            await store.read(A, asked - 1)
        await swept(store, monkeypatch)
        count = store._writer._connection.execute("SELECT count(*) FROM history").fetchall()
        assert count == [(21,)]

    on(path, scenario)


def test_what_was_not_swept_before_a_restart_is_swept_afterwards(path: Path, monkeypatch: pytest.MonkeyPatch):
    async def before(store):
        await fill(store, 3_000)
        await store.compact(await store.revision())

    async def after(store):
        assert store._writer._compaction.pending
        await swept(store, monkeypatch)
        assert store._writer._connection.pragma("synchronous") == 2
        assert store._writer._connection.execute("SELECT count(*) FROM history").fetchall() == [(1,)]

    on(path, before)
    on(path, after)
