"""What a write and a watch event cost while more and more objects are in the store: the curve should be flat.

`python -m bench.flat_cost` prints a table, and draws it with `--svg FILE`. Storage is SQLite with its fsyncs; requests
go through the whole API server in this process, without HTTP. Costs are CPU time of all threads, the least of several
rounds.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from bench.curve import draw
from kajitori.api.registry import Registry
from kajitori.apiserver.extension import ADMIN
from kajitori.apiserver.http_types import Query, Request, Sink
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import SystemClock
from kajitori.storage.interface import Put, Storage
from kajitori.storage.sqlite import SqliteStorage

SIZES = (1_000, 10_000, 50_000, 150_000)
SHORT_SIZES = (1_000, 10_000, 30_000)
NAMESPACES, NODES = 100, 1_000
WRITES, AT_ONCE, ROUNDS = 600, 32, 8
BROAD_WATCHERS, NODE_WATCHERS = 200, 500
PODS = "/api/v1/namespaces/{}/pods"


@dataclass(frozen=True, slots=True)
class Costs:
    """Microseconds of CPU, but `write_ms_p50`, which is how long a caller waits."""

    objects: int
    create_us: float
    update_us: float
    delete_us: float
    event_us: float
    get_us: float
    write_ms_p50: float

    def row(self) -> str:
        figures = (self.create_us, self.update_us, self.delete_us, self.event_us, self.get_us, self.write_ms_p50)
        return f"| {self.objects:,} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |"


HEADER = """\
| pods in the store | create, us | update, us | delete, us | event to one watcher, us | GET, us | write p50, ms |
|--:|--:|--:|--:|--:|--:|--:|"""


class Drain(Sink):
    """A connection that takes everything at once."""

    writable = True

    def __init__(self) -> None:
        self.events = 0

    def write(self, chunk: bytes) -> None:
        self.events += chunk.count(b"\n")

    def end(self) -> None:
        raise AssertionError("a watch ended")


def pod(name: str, node: int) -> bytes:
    containers = [{"name": "main", "image": "example.org/app:1", "resources": {"requests": {"cpu": "100m"}}}]
    spec = {"nodeName": f"node-{node}", "containers": containers}
    metadata = {"name": name, "labels": {"app": f"app-{node % 50}", "tier": "backend"}}
    return orjson.dumps({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec})


class Meter:
    def __init__(self, server: ApiServer, storage: Storage) -> None:
        self._server = server
        self._storage = storage
        self._serial = 0
        self._filled = 0

    async def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        headers = {"content-type": "application/json", "user-agent": "bench"}
        query = Query("gracePeriodSeconds=0" if method == "DELETE" else "")
        response = await self._server.answer(Request(method, path, query, headers, body), ADMIN)
        assert response.status < 300, response.body
        return response.body

    async def fill(self, objects: int) -> None:
        """Straight into the store, as copies of one pod that the server made."""
        path = PODS.format("fill")
        made = orjson.loads(await self.call("POST", path, pod("fill-0", 0)))
        await self.call("DELETE", f"{path}/fill-0")
        del made["metadata"]["resourceVersion"]
        for begin in range(self._filled, objects, 2_000):
            changes = []
            for n in range(begin, min(begin + 2_000, objects)):
                namespace, name = f"ns-{n % NAMESPACES}", f"filled-{n:07}"
                made["metadata"] |= {"name": name, "namespace": namespace, "uid": f"uid-{n}"}
                made["spec"]["nodeName"] = f"node-{n % NODES}"
                changes.append(Put(f"/registry/core/pods/{namespace}/{name}", orjson.dumps(made)))
            await asyncio.gather(*(self._storage.commit(change) for change in changes))
        self._filled = objects
        await self._server.cache.caught_up()

    async def round(self) -> tuple[float, ...]:
        names = [f"measured-{self._serial + n}" for n in range(WRITES)]
        self._serial += WRITES
        place = {name: f"{PODS.format(f'ns-{n * 7 % NAMESPACES}')}" for n, name in enumerate(names)}
        bodies = {name: pod(name, n % NODES) for n, name in enumerate(names)}
        create_us, wait_ms = await self._all([lambda n=n: self.call("POST", place[n], bodies[n]) for n in names])
        stored = {name: orjson.loads(await self.call("GET", f"{place[name]}/{name}")) for name in names}
        get_us, _ = await self._all([lambda n=n: self.call("GET", f"{place[n]}/{n}") for n in names])
        update_us, _ = await self._all([self._update(f"{place[n]}/{n}", stored[n], "one") for n in names])
        drains = await self._watch()
        stored = {name: orjson.loads(await self.call("GET", f"{place[name]}/{name}")) for name in names}
        watched_us, _ = await self._all([self._update(f"{place[n]}/{n}", stored[n], "two") for n in names])
        told = sum(drain.events for drain, _ in drains) / WRITES
        for _, stop in drains:
            stop()
        delete_us, _ = await self._all([lambda n=n: self.call("DELETE", f"{place[n]}/{n}") for n in names])
        return create_us, update_us, delete_us, watched_us, get_us, wait_ms, told

    def _update(self, path: str, obj: dict, text: str) -> Callable[[], Awaitable[bytes]]:
        obj["metadata"]["labels"]["changed"] = text
        body = orjson.dumps(obj)
        return lambda: self.call("PUT", path, body)

    async def _watch(self) -> list[tuple[Drain, Callable[[], None]]]:
        """Some who see every pod, and the kubelets of half the nodes, of which an event concerns one or none."""
        fields = [""] * BROAD_WATCHERS + [f"&fieldSelector=spec.nodeName%3Dnode-{n}" for n in range(NODE_WATCHERS)]
        revision = self._server.cache.revision
        drains = []
        for field in fields:
            query = Query(f"watch=1&resourceVersion={revision}{field}")
            response = await self._server.answer(Request("GET", "/api/v1/pods", query, {"user-agent": "bench"}), ADMIN)
            assert response.source is not None
            drain = Drain()
            response.source.start(drain)
            drains.append((drain, response.source.stop))
        return drains

    async def _all(self, calls: Sequence[Callable[[], Awaitable[object]]]) -> tuple[float, float]:
        """CPU microseconds a call, and the median wait in milliseconds."""
        waits: list[float] = []
        queue = iter(calls)

        async def caller() -> None:
            for call in queue:
                began_s = time.perf_counter()
                await call()
                waits.append(time.perf_counter() - began_s)

        began_s = time.process_time()
        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        await asyncio.sleep(0.01)  # what watchers are still to be told
        spent_s = time.process_time() - began_s
        return spent_s / len(calls) * 1e6, sorted(waits)[len(waits) // 2] * 1e3


async def measure(sizes: Sequence[int]) -> list[Costs]:
    """A server for each size, all at once and measured in turn: what else the machine does falls on all alike."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kajitori-flat-")))
        meters = []
        for size in sizes:
            storage = await SqliteStorage.open(folder / f"{size}.db")
            stack.push_async_callback(storage.close)
            server = ApiServer(storage, Registry(), SystemClock())
            await server.start()
            stack.push_async_callback(server.stop)
            meters.append(Meter(server, storage))
            await meters[-1].fill(size)
            await meters[-1].round()  # warm
        rounds = [[await meter.round() for meter in meters] for _ in range(ROUNDS)]
    return [_costs(size, of_size) for size, of_size in zip(sizes, zip(*rounds, strict=True), strict=True)]


def _costs(size: int, rounds: Sequence[tuple[float, ...]]) -> Costs:
    """Of every figure the least; an event's cost is what an update costs more while it is watched."""
    create_us, update_us, delete_us, watched_us, get_us, wait_ms, told = map(min, zip(*rounds, strict=True))
    return Costs(size, create_us, update_us, delete_us, (watched_us - update_us) / told, get_us, wait_ms)


def show(sizes: Sequence[int]) -> list[Costs]:
    costs = uvloop.run(measure(sizes))
    print("\n".join([HEADER, *(cost.row() for cost in costs)]), flush=True)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flat_cost", description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"up to {SHORT_SIZES[-1]:,} objects only")
    parser.add_argument("--svg", type=Path, help="draw the curve into this file")
    arguments = parser.parse_args()
    costs = show(SHORT_SIZES if arguments.short else SIZES)
    if arguments.svg:
        lines = {
            "create": [(c.objects, c.create_us) for c in costs],
            "update": [(c.objects, c.update_us) for c in costs],
            "delete": [(c.objects, c.delete_us) for c in costs],
            "event to one watcher x 100": [(c.objects, c.event_us * 100) for c in costs],
        }
        arguments.svg.write_text(draw("CPU a write, by objects in the store", "objects", "us", lines))


if __name__ == "__main__":
    main()
