"""A real file system that fills up: the store says so, keeps what it acknowledged, and goes on once there is room."""

import subprocess
import sys
from pathlib import Path

import pytest

# In a mount namespace of its own, so that the mount is gone with the process.
SCENARIO = """
import asyncio, subprocess, sys
from pathlib import Path
from kajitori.storage.interface import Put, Unavailable
from kajitori.storage.sqlite import SqliteStorage

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
path = folder / "state.db"


async def fill_up():
    store = await SqliteStorage.open(path)
    kept = {}
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(5 << 20))
    while True:
        key = f"/pods/{len(kept)}"
        try:
            kept[key] = await store.commit(Put(key, bytes(3_000)))
        except Unavailable as error:
            assert f"{path}: the disk is full" in str(error), error
            break
    assert kept and (await store.read("/pods/0")).modified == kept["/pods/0"]
    ballast.unlink()
    for n in range(20):
        kept[f"/after/{n}"] = await store.commit(Put(f"/after/{n}", bytes(3_000)))
    await store.close()
    return kept


async def look(kept):
    store = await SqliteStorage.open(path)
    page = await store.scan("")
    assert {r.key: r.modified for r in page.records} == kept
    assert page.revision == max(kept.values())
    await store.close()


asyncio.run(look(asyncio.run(fill_up())))
print("kept")
"""


@pytest.mark.e2e
def test_a_full_file_system_loses_nothing(tmp_path: Path):
    command = ["unshare", "--mount", sys.executable, "-c", SCENARIO, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "kept\n"), done.stderr
