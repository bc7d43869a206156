"""A damaged file is refused or read rightly, never served wrongly. What a kill leaves at the log's end is no damage."""

import asyncio
import random
import shutil
import threading
from pathlib import Path

import apsw
import pytest

from kajitori.storage import sqlite_check
from kajitori.storage.interface import FIRST, CannotOpen, Delete, Put, Unavailable
from kajitori.storage.sqlite import SqliteStorage
from kajitori.storage.sqlite_file import suspicion

PODS = {f"/pods/{n}": b"%d " % n + bytes(range(256)) * (n % 40) for n in range(120)}


async def write(path: Path) -> None:
    store = await SqliteStorage.open(path)
    for key, value in PODS.items():
        await store.commit(Put(key, b"before"))
        await store.commit(Put(key, value))
    await store.commit(Put("/gone", b"1"))
    await store.commit(Delete("/gone"))
    await store.close()


async def read(path: Path) -> None:
    """Everything a server may ever read: all objects, each by its key, and the whole history."""
    store = await SqliteStorage.open(path)
    try:
        page = await store.scan("")
        assert {record.key: record.value for record in page.records} == PODS
        for key, value in PODS.items():
            found = await store.read(key)
            assert found is not None and found.value == value
        assert page.revision == FIRST + 2 * len(PODS) + 2
        history = store.watch("", FIRST)
        told = [await anext(history) for _ in range(2 * len(PODS) + 2)]
        assert [event.revision for event in told] == list(range(FIRST + 1, page.revision + 1))
        assert [e.record.value for e in told[1 : 2 * len(PODS) : 2]] == list(PODS.values())
        await history.aclose()
    finally:
        await store.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "state.db"
    asyncio.run(write(path))
    return path


@pytest.fixture(params=["small", "large"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a large file only the beginning is checked before it is used."""
    if request.param == "large":
        monkeypatch.setattr(sqlite_check, "AT_ONCE_BYTES", 0)
    return str(request.param)


def test_a_flipped_bit_is_never_served(whole: Path, tmp_path: Path, size: str):
    rng, content, refused = random.Random(7), whole.read_bytes(), 0
    path = tmp_path / "state.db"
    for _ in range(120):
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            asyncio.run(read(path))
        except (CannotOpen, Unavailable) as error:
            assert str(error).startswith(f"{path}: "), error
            assert "\n" not in str(error)
            refused += 1
        suspicion(path).unlink(missing_ok=True)
    assert refused > 60  # the others hit free space, or what is not read


def test_a_torn_last_page_is_refused_with_the_remedy(whole: Path, tmp_path: Path, size: str):
    path = tmp_path / "state.db"
    content = whole.read_bytes()
    path.write_bytes(content[: -4096 // 2])
    refused = CannotOpen if size == "small" else (CannotOpen, Unavailable)
    with pytest.raises(refused, match=rf"^{path}: the file is damaged \(.*\): restore a backup, or choose another"):
        asyncio.run(read(path))
    suspicion(path).unlink(missing_ok=True)
    path.write_bytes(content[:-4096] + bytes(4096))
    with pytest.raises((CannotOpen, Unavailable), match=rf"^{path}: the file is damaged \(.*\): restore a backup"):
        asyncio.run(read(path))


def broken_index(whole: Path, path: Path) -> None:
    """Everything current can be read; the index of the history lacks rows that are there."""
    shutil.copy(whole, path)
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'history_by_key'").fetchall()[0][0]
    connection.close()
    content = bytearray(path.read_bytes())
    start = (root - 1) * 4096
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    content[start + 3 : start + 5] = (cells - 1).to_bytes(2, "big")
    path.write_bytes(content)


def held_check(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The later check begins when this is set."""
    may_begin, check = threading.Event(), sqlite_check.LaterCheck.run
    monkeypatch.setattr(sqlite_check.LaterCheck, "run", lambda later: check(later) if may_begin.wait(30) else "late")
    return may_begin


def test_damage_that_is_found_later_ends_the_store_and_refuses_the_next_opening(
    whole: Path, tmp_path: Path, size: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    path, may_begin = tmp_path / "state.db", held_check(monkeypatch)
    broken_index(whole, path)

    async def use() -> None:
        store = await SqliteStorage.open(path)
        assert {record.key: record.value for record in (await store.scan("")).records} == PODS
        waiting = asyncio.ensure_future(anext(store.watch("", await store.revision())))
        attempts = (
            store.commit(Put("/more", b"1")),
            store.read("/pods/1", FIRST + 2),
            store.history("", 1, 9, 9),
            waiting,
        )
        may_begin.set()
        for found in await asyncio.gather(*attempts, return_exceptions=True):
            assert isinstance(found, Unavailable) and "the file is damaged" in str(found)
        with pytest.raises(Unavailable, match="damaged"):
            await store.read("/pods/1")
        await store.close()

    if size == "large":
        asyncio.run(use())
        assert "the file is damaged" in caplog.text
    for _ in range(2):
        with pytest.raises(CannotOpen, match=rf"^{path}: the file is damaged \(.*\): restore a backup"):
            asyncio.run(SqliteStorage.open(path))
        if size == "small":
            return
    shutil.copy(whole, path)
    asyncio.run(read(path))
    assert not suspicion(path).exists()


def test_nothing_is_written_before_a_large_file_is_known_to_be_whole(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "state.db"
    shutil.copy(whole, path)
    monkeypatch.setattr(sqlite_check, "AT_ONCE_BYTES", 0)
    may_end = held_check(monkeypatch)

    async def main() -> None:
        store = await SqliteStorage.open(path)
        newest = await store.revision()
        writing = [asyncio.ensure_future(store.commit(Put("/more", b"%d" % n))) for n in range(3)]
        past = asyncio.ensure_future(store.read("/pods/1", newest - 1))
        # What is current can be read, at its revision too.
        assert len((await store.scan("")).records) == len((await store.scan("", at=newest)).records) == len(PODS)
        assert (await store.read("/pods/1")).value == PODS["/pods/1"]
        assert not past.done() and not any(write.done() for write in writing)
        may_end.set()
        assert await asyncio.gather(*writing) == [newest + 1, newest + 2, newest + 3]
        assert (await past).value == PODS["/pods/1"]
        await store.close()

    asyncio.run(main())


def test_a_store_may_be_closed_while_its_file_is_looked_at(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "state.db"
    shutil.copy(whole, path)
    monkeypatch.setattr(sqlite_check, "AT_ONCE_BYTES", 0)

    async def main() -> None:
        store = await SqliteStorage.open(path)
        writing = asyncio.ensure_future(store.commit(Put("/more", b"1")))
        await asyncio.sleep(0)
        await store.close()
        with pytest.raises(Unavailable, match="closed"):
            await writing
        again = await SqliteStorage.open(path)
        await again.commit(Put("/more", b"1"))
        await again.close()

    asyncio.run(main())


def test_a_current_record_that_history_lacks_is_damage(whole: Path, tmp_path: Path):
    path = tmp_path / "state.db"
    shutil.copy(whole, path)
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM history WHERE revision = (SELECT revision FROM current WHERE key = '/pods/7')")
    connection.close()

    async def main() -> None:
        store = await SqliteStorage.open(path)
        for asked in (store.scan(""), store.read("/pods/7")):
            with pytest.raises(Unavailable, match=r"/pods/7 at revision \d+ is missing"):
                await asked
        await store.close()

    asyncio.run(main())


def test_a_value_that_was_changed_behind_our_back_is_named(whole: Path, tmp_path: Path):
    path = tmp_path / "state.db"
    shutil.copy(whole, path)
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE history SET value = ? WHERE key = '/pods/7' AND value != 'before'", (b"7 other",))
    connection.close()
    with pytest.raises(Unavailable, match=r"the file is damaged \(.*/pods/7 at revision \d+ does not match"):
        asyncio.run(read(path))


def test_a_file_from_before_there_were_checksums_is_taken_over(whole: Path, tmp_path: Path):
    path = tmp_path / "state.db"
    shutil.copy(whole, path)
    connection = apsw.Connection(str(path))
    connection.execute("ALTER TABLE history DROP COLUMN checksum")
    connection.close()
    asyncio.run(read(path))

    async def more() -> None:
        store = await SqliteStorage.open(path)
        assert await store.commit(Put("/more", b"1")) == FIRST + 2 * len(PODS) + 3
        await store.close()

    asyncio.run(more())
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT count(*) FROM history WHERE checksum IS NOT NULL").fetchall() == [(1,)]
    connection.close()


def test_garbage_behind_the_log_is_no_damage(tmp_path: Path):
    """What a kill or a power failure leaves there was never acknowledged."""

    async def crash() -> None:
        store = await SqliteStorage.open(tmp_path / "state.db")
        for key, value in PODS.items():
            await store.commit(Put(key, value))
        for name in ("state.db", "state.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"crashed-{name}")
        await store.close()

    async def check(path: Path) -> None:
        store = await SqliteStorage.open(path)
        assert {record.key: record.value for record in (await store.scan("")).records} == PODS
        assert await store.commit(Put("/more", b"1")) == FIRST + len(PODS) + 1
        await store.close()

    asyncio.run(crash())
    log, rng = (tmp_path / "crashed-state.db-wal").read_bytes(), random.Random(3)
    for turn, tail in enumerate((rng.randbytes(5_000), bytes(9_000), log[32:4_152], log[-2_000:])):
        folder = tmp_path / str(turn)
        folder.mkdir()
        shutil.copy(tmp_path / "crashed-state.db", folder / "state.db")
        (folder / "state.db-wal").write_bytes(log + tail)
        asyncio.run(check(folder / "state.db"))
