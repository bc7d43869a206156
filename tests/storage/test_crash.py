"""SIGKILL under load: every acknowledged write is there afterwards, and the next process may open the store.

`KAJITORI_KILLS` is how many times the end-to-end suite kills, `KAJITORI_SEED` replays one run's choices.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kajitori.storage.interface import FIRST
from kajitori.storage.sqlite import SqliteStorage

KILLS = int(os.environ.get("KAJITORI_KILLS", "60"))
SEED = int(os.environ.get("KAJITORI_SEED", "0"))
CALLERS = 40
# Puts, conditional puts and deletes as fast as it can, from many callers, with compaction in between. Every caller
# says what it is about to do and, once that was acknowledged, its revision.
WRITER = """
import asyncio, os, random, sys
from pathlib import Path
from kajitori.storage.interface import Delete, Put
from kajitori.storage.sqlite import SqliteStorage

async def main():
    store = await SqliteStorage.open(Path(sys.argv[1]), history_revisions=500)
    begin = await store.revision()

    async def caller(n):
        rng = random.Random(f"{sys.argv[2]} {n}")
        record = await store.read(f"/pods/{n}")
        expect = record.modified if record else 0
        for turn in range(10**9):
            deletes = expect and rng.random() < 0.2
            text = b"%d.%d " % (begin, turn) + b"x" * rng.choice((0, 500, 6000))
            os.write(1, b"begin %d %s %d\\n" % (n, b"-" if deletes else text.split()[0], expect))
            change = Delete(f"/pods/{n}") if deletes else Put(f"/pods/{n}", text)
            revision = await store.commit(change, expect)
            os.write(1, b"done %d %d\\n" % (n, revision))
            expect = 0 if deletes else revision

    async def compact():
        while True:
            await asyncio.sleep(0.02)
            await store.compact(await store.revision() - 100)

    await asyncio.gather(compact(), *(caller(n) for n in range(int(sys.argv[3]))))

asyncio.run(main())
"""
State = tuple[int, str] | None
"""Revision and first word of what is stored; None when nothing is."""


def test_acknowledged_writes_survive_a_kill(tmp_path: Path):
    kill_again_and_again(tmp_path / "state.db", 3, SEED or 1)


@pytest.mark.e2e
def test_acknowledged_writes_survive_hundreds_of_kills(tmp_path: Path):
    kill_again_and_again(tmp_path / "state.db", KILLS, SEED or random.SystemRandom().randrange(1, 1 << 32))


def kill_again_and_again(path: Path, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    states: dict[str, State] = {}
    newest = FIRST
    for turn in range(rounds):
        try:
            unsure = write_and_kill(path, rng, states)
            newest = asyncio.run(check(path, states, unsure, newest))
        except AssertionError as error:
            raise AssertionError(f"KAJITORI_SEED={seed}, kill {turn + 1}: {error}") from error


def write_and_kill(path: Path, rng: random.Random, states: dict[str, State]) -> dict[str, str]:
    """Brings `states` to what was acknowledged; what each caller was about to do when the process died."""
    command = [sys.executable, "-c", WRITER, str(path), str(rng.random()), str(CALLERS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(int(rng.triangular(1, 4_000, 300)))]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    about: dict[str, str] = {}
    revisions: set[int] = set()
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        verb, caller, *words = line.decode().split()
        key = f"/pods/{caller}"
        if verb == "begin":
            held = states.get(key)
            assert int(words[1]) == (held[0] if held else 0), f"{key} is not as it was acknowledged: {held}"
            about[key] = words[0]
        else:
            revision, word = int(words[0]), about.pop(key)
            assert revision not in revisions, f"two writes share revision {revision}"
            revisions.add(revision)
            states[key] = None if word == "-" else (revision, word)
    return about


async def check(path: Path, states: dict[str, State], unsure: dict[str, str], before: int) -> int:
    """Settles in `states` what was unsure. Returns the newest revision."""
    store = await SqliteStorage.open(path)
    try:
        page = await store.scan("/pods/")
        found: dict[str, State] = {r.key: (r.modified, r.value.split()[0].decode()) for r in page.records}
        for key in states.keys() | unsure.keys():
            is_now, acknowledged = found.get(key), states.get(key)
            if is_now != acknowledged:
                assert key in unsure, f"{key}: acknowledged {acknowledged}, found {is_now}"
                assert unsure[key] == (is_now[1] if is_now else "-"), f"{key}: neither done nor undone: {is_now}"
                states[key] = is_now
        assert found.keys() <= states.keys()
        newest = await store.revision()
        assert newest == page.revision >= max([before, *(state[0] for state in states.values() if state)])
        assert len({record.modified for record in page.records}) == len(page.records)
        behind = min(50, newest - FIRST)
        history = store.watch("", newest - behind)
        told = [(await anext(history)).revision for _ in range(behind)]
        assert told == list(range(newest - behind + 1, newest + 1))
        await history.aclose()
        return newest
    finally:
        await store.close()
