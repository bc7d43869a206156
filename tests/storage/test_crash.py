"""SIGKILL under load: every acknowledged write is there afterwards, and the next process may open the store."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from kajitori.storage.interface import FIRST
from kajitori.storage.sqlite import SqliteStorage

# Writes as fast as it can from many callers; prints a line for each write after it was acknowledged.
WRITER = """
import asyncio, os, sys
from pathlib import Path
from kajitori.storage.interface import Put
from kajitori.storage.sqlite import SqliteStorage

async def main():
    store = await SqliteStorage.open(Path(sys.argv[1]), history_revisions=1000)

    async def caller(n):
        for turn in range(10**9):
            revision = await store.commit(Put(f"/pods/{n}", b"%d" % turn))
            os.write(1, b"%d %d %d\\n" % (n, turn, revision))

    await asyncio.gather(*(caller(n) for n in range(40)))

asyncio.run(main())
"""
ACKNOWLEDGED = 4_000


def test_acknowledged_writes_survive_a_kill(tmp_path: Path):
    path = tmp_path / "state.db"
    for _ in range(2):
        acknowledged = write_and_kill(path)
        asyncio.run(check(path, acknowledged))


def write_and_kill(path: Path) -> dict[str, tuple[int, int]]:
    """The last acknowledged turn and revision of every key."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(ACKNOWLEDGED)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    acknowledged: dict[str, tuple[int, int]] = {}
    for line in lines:
        if line.endswith(b"\n"):
            caller, turn, revision = (int(part) for part in line.split())
            acknowledged[f"/pods/{caller}"] = turn, revision
    return acknowledged


async def check(path: Path, acknowledged: dict[str, tuple[int, int]]) -> None:
    store = await SqliteStorage.open(path)
    try:
        page = await store.scan("/pods/")
        found = {record.key: record for record in page.records}
        assert acknowledged.keys() <= found.keys()
        for key, (turn, revision) in acknowledged.items():
            # One more write of each caller may have been stored without its answer getting out.
            assert found[key].modified >= revision
            assert int(found[key].value) in (turn, turn + 1)
        newest = max(record.modified for record in page.records)
        assert page.revision == await store.revision() == newest >= FIRST + ACKNOWLEDGED
        history = store.watch("", newest - 500)
        assert [(await anext(history)).revision for _ in range(500)] == list(range(newest - 499, newest + 1))
        await history.aclose()
    finally:
        await store.close()
