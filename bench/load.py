"""How much a Kubernetes API server answers: the same work for any server, `./run bench --server URL --token T`.

Without a server, one of our own is started: TLS, RBAC, every admission plugin, SQLite that syncs each commit. The load
runs on the same machine, so figures compare within one run only. Goals are for a machine of two cores.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import orjson

from bench.cluster import cpu_s, resident_mb
from bench.connection import Clients, Connection, Target

NAMESPACE = "/api/v1/namespaces/default"
PODS = 11_000
"""How many there are when they are listed, whichever server has made them how fast."""
_PODS, _MAPS, _NODES = f"{NAMESPACE}/pods", f"{NAMESPACE}/configmaps", "/api/v1/nodes"
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rate:
    """One kind of work: how much of it a second, how long one took, and what it cost the server."""

    name: str
    value: float
    unit: str
    p50_ms: float
    p99_ms: float
    server_us: float | None
    goal: float | None
    p99_ms_max: float | None

    def row(self) -> str:
        cost = f"{self.server_us:8.0f} us" if self.server_us is not None else "           "
        met = self.goal is None or self.value >= self.goal
        met = met and (self.p99_ms_max is None or self.p99_ms <= self.p99_ms_max)
        goals = [f">= {self.goal:,.0f}"] if self.goal else []
        goals += [f"p99 <= {self.p99_ms_max:.0f} ms"] if self.p99_ms_max else []
        verdict = f"goal {', '.join(goals)}: {'met' if met else 'missed'}" if goals else ""
        return (
            f"{self.name:32} {self.value:9,.0f} {self.unit:5} p50 {self.p50_ms:7.2f} ms  p99 {self.p99_ms:7.2f} ms "
            f"{cost}  {verdict}"
        )


def configmap(number: int) -> Object:
    metadata = {"generateName": "cm-"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"k": "x" * 200}}


def pod(number: int) -> Object:
    container = {
        "name": "pause",
        "image": "kajitori/pause:1",
        "ports": [{"containerPort": 80}],
        "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
    }
    metadata = {"generateName": "pod-", "labels": {"app": f"a{number % 10}"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


def node(number: int) -> Object:
    room = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    name = f"node-{number:05d}"
    labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    status = {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


class Load:
    """The work, against one server. `pid` is the server's process where it is on this machine."""

    def __init__(self, target: Target, pid: int | None, connections: int, seconds: float) -> None:
        self._target = target
        self._pid = pid
        self._connections = connections
        self._seconds = seconds

    async def all(self) -> AsyncIterator[Rate]:
        """In the order in which each finds what it needs."""
        await self._once("POST", _MAPS, orjson.dumps({**configmap(0), "metadata": {"name": "one"}}))
        yield await self._repeat("get a ConfigMap", "GET", f"{_MAPS}/one", goal=12_000, p99_ms_max=24)
        yield await self._repeat("create ConfigMaps", "POST", _MAPS, configmap, goal=4_700, p99_ms_max=36)
        yield await self._repeat("create Pods", "POST", _PODS, pod, goal=2_800, p99_ms_max=56, at_most=PODS)
        yield await self._create("create more Pods", _PODS, pod, PODS - await self._held(_PODS))
        yield await self._repeat("list all Pods", "GET", f"{_PODS}?resourceVersion=0", connections=2, goal=160)
        yield await self._repeat("list 500 Pods", "GET", f"{_PODS}?limit=500", connections=2, goal=91, p99_ms_max=48)
        yield await self._fan_out(200, 300, goal=26_600, p99_ms_max=12)
        yield await self._create("create 5,000 Nodes", _NODES, node, 5_000)

    def resident_mb(self) -> float | None:
        return resident_mb(self._pid) if self._pid is not None else None

    async def _repeat(
        self,
        name: str,
        method: str,
        path: str,
        make: Callable[[int], Object] | None = None,
        *,
        connections: int = 0,
        goal: float | None = None,
        p99_ms_max: float | None = None,
        at_most: int | None = None,
    ) -> Rate:
        """As often as fits into the time. Lists are counted in bytes."""
        bodies = [orjson.dumps(make(number)) for number in range(10)] if make is not None else [b""]
        every = itertools.cycle([self._target.request(method, path, body) for body in bodies])
        requests = itertools.islice(every, at_most)
        until_s = time.perf_counter() + self._seconds
        timed = iter(lambda: next(requests, None) if time.perf_counter() < until_s else None, None)
        unit = "MB/s" if name.startswith("list") else "/s"
        return await self._work(name, unit, timed, connections or self._connections, goal, p99_ms_max)

    async def _create(self, name: str, path: str, make: Callable[[int], Object], count: int) -> Rate:
        bodies = [orjson.dumps(make(number)) for number in range(max(count, 1))]
        return await self._work(name, "/s", (self._target.request("POST", path, b) for b in bodies), self._connections)

    async def _work(
        self,
        name: str,
        unit: str,
        requests: Iterator[bytes],
        connections: int,
        goal: float | None = None,
        p99_ms_max: float | None = None,
    ) -> Rate:
        clients = Clients(self._target, connections)
        with self._cost() as cost:
            took_s = await clients.run(lambda: next(requests, None))
        wrong = {status: many for status, many in clients.statuses.items() if not 200 <= status < 300}
        if wrong:
            raise SystemExit(f"bench: {name}: answered with {wrong} (status: how often) instead of success")
        done = len(clients.latencies_s)
        amount = clients.bytes / 1e6 if unit == "MB/s" else done
        return Rate(name, amount / took_s, unit, *_cuts_ms(clients.latencies_s), cost.each_us(done), goal, p99_ms_max)

    def _cost(self) -> "_Cost":
        return _Cost(self._pid)

    async def _once(self, method: str, path: str, body: bytes = b"") -> bytes:
        """One request on a connection of its own; the answer's body."""
        target = self._target
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=target.tls, limit=2**26)
        request = target.request(method, path, body)
        writer.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        if b"transfer-encoding: chunked" not in head.lower():
            return rest
        whole = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            whole, rest = whole + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return whole

    async def _held(self, path: str) -> int:
        page = orjson.loads(await self._once("GET", f"{path}?limit=1"))
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    async def _fan_out(self, watchers: int, events: int, goal: float, p99_ms_max: float) -> Rate:
        """Every watcher must receive every event; the delay is from the create's answer to the receipt."""
        since = orjson.loads(await self._once("GET", f"{_MAPS}?limit=1"))["metadata"]["resourceVersion"]
        audience = Audience(watchers, events)
        watch = self._target.request("GET", f"{_MAPS}?watch=1&resourceVersion={since}&timeoutSeconds=600")
        links = [await self._target.open(audience.watcher()) for _ in range(watchers)]
        for link in links:
            link.send(watch)
        await asyncio.sleep(1)  # the watches are open
        bodies = [orjson.dumps(configmap(number)) for number in range(events)]
        requests = (self._target.request("POST", _MAPS, body) for body in bodies)
        creator = Clients(self._target, 1)

        def make() -> bytes | None:
            if creator.latencies_s:
                audience.answered_s.append(time.perf_counter())
            return next(requests, None)

        began_s = time.perf_counter()
        with self._cost() as cost:
            await creator.run(make)
            await asyncio.wait_for(audience.all_seen.wait(), 120)
        took_s = time.perf_counter() - began_s
        for link in links:
            link.transport.close()
        deliveries = watchers * events
        name, each_us = f"fan out to {watchers} watchers", cost.each_us(deliveries)
        return Rate(name, deliveries / took_s, "/s", *_cuts_ms(audience.delays_s), each_us, goal, p99_ms_max)


class Audience:
    """Watchers that count what they receive."""

    def __init__(self, watchers: int, events: int) -> None:
        self._waiting = watchers
        self._events = events
        self.answered_s: list[float] = []
        self.delays_s: list[float] = []
        self.all_seen = asyncio.Event()

    def watcher(self) -> Connection:
        seen, last = 0, b""

        def piece(data: bytes) -> None:
            nonlocal seen, last
            now_s = time.perf_counter()
            for _ in range((last + data).count(b"}\n")):
                self.delays_s.append(max(0.0, now_s - self.answered_s[seen]) if seen < len(self.answered_s) else 0.0)
                seen += 1
            last = b"}" if data.endswith(b"}") else b""
            if seen >= self._events:
                self._waiting -= 1
                if not self._waiting:
                    self.all_seen.set()

        return Connection(lambda status, size: None, piece)


class _Cost:
    """CPU that the server's process spends while the block runs."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid
        self._spent_s = 0.0

    def __enter__(self) -> Self:
        self._spent_s = -cpu_s(self._pid) if self._pid is not None else 0.0
        return self

    def __exit__(self, *raised: object) -> None:
        if self._pid is not None:
            self._spent_s += cpu_s(self._pid)

    def each_us(self, count: int) -> float | None:
        return self._spent_s * 1e6 / count if self._pid is not None else None


def _cuts_ms(seconds: list[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    cuts = statistics.quantiles(seconds if len(seconds) > 1 else seconds * 2, n=100)
    return cuts[49] * 1e3, cuts[98] * 1e3
