"""SIGKILL at random moments under load, again and again: no acknowledged write is lost, no watcher misled.

`KAJITORI_KILLS` is how many rounds (each takes some three seconds), `KAJITORI_SEED` replays one run's choices.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

import pytest
from store_load import ApiProcess, Ledger, Onlooker, present, write

from kajitori.api import core
from kajitori.client.http import HttpClient

pytestmark = pytest.mark.e2e

KILLS = int(os.environ.get("KAJITORI_KILLS", "10"))
SEED = int(os.environ.get("KAJITORI_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
WRITERS = 8


async def kill_again_and_again(server: ApiProcess, rounds: int, rng: random.Random) -> tuple[Ledger, Onlooker]:
    ledger, client, watching = Ledger(), server.client(), server.client()
    onlooker, newest = Onlooker(watching), 0
    server.start()
    await server.ready(client)
    look = asyncio.create_task(onlooker.run())
    try:
        for _ in range(rounds):
            newest = await one_round(server, client, ledger, onlooker, rng, newest)
            if look.done():
                look.result()
    finally:
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
        await client.close()
        await watching.close()
    return ledger, onlooker


async def one_round(
    server: ApiProcess, client: HttpClient, ledger: Ledger, onlooker: Onlooker, rng: random.Random, newest: int
) -> int:
    writers = [asyncio.create_task(write(client, ledger, rng, f"w{n}")) for n in range(WRITERS)]
    enough, deadline_s = ledger.acknowledged + int(rng.triangular(0, 300, 20)), time.monotonic() + 10
    while ledger.acknowledged < enough and time.monotonic() < deadline_s:
        await asyncio.sleep(0)
    server.kill()
    await asyncio.gather(*writers)
    server.start()
    await server.ready(client)
    found, revision = await present(client)
    assert revision >= max(newest, *ledger.revisions, 0)
    ledger.compare(found)
    # What the watcher is to see last, whatever became of the writes.
    mark = await write_mark(client, ledger)
    await onlooker.reached(mark)
    found, revision = await present(client)
    onlooker.compare(ledger, found)
    return revision


async def write_mark(client: HttpClient, ledger: Ledger) -> int:
    name = "mark"
    state = ledger.known.get(name)
    metadata = {"name": name, "namespace": "default", "labels": {"made-by": "load"}}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": str(time.monotonic_ns())}}
    if state is None:
        ledger.put(name, await client.create(core.CONFIG_MAP, obj))
    else:
        ledger.put(name, await client.update(core.CONFIG_MAP, obj))
    return max(ledger.revisions)


def test_a_killed_server_loses_nothing(tmp_path: Path):
    server = ApiProcess(tmp_path / "data")
    try:
        ledger, onlooker = asyncio.run(kill_again_and_again(server, KILLS, random.Random(SEED)))
    except AssertionError as error:
        raise AssertionError(f"KAJITORI_SEED={SEED}: {error}") from error
    finally:
        server.kill()
    assert ledger.acknowledged > KILLS * 10
    assert onlooker.reconnects >= KILLS
    assert not onlooker.relists, "a watcher had to list again although the store knew what it had missed"
    sys.stdout.write(f"{KILLS} kills, {ledger.acknowledged} acknowledged writes, seed {SEED}\n")
