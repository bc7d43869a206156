"""Load on an API server whose store is to be trusted: writers that remember what was acknowledged, a watcher that
remembers what it was told, and the comparison of both with what is there.
"""

import asyncio
import itertools
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kajitori.api import core
from kajitori.api.errors import AlreadyExists, Conflict, Expired, StatusError
from kajitori.app.layout import Layout
from kajitori.app.prepare import prepare
from kajitori.app.record import ClusterRecord, write_record
from kajitori.client.http import HttpClient
from kajitori.client.interface import Disconnected, WatchEventType
from kajitori.client.kubeconfig import read_kubeconfig
from kajitori.client.transport import TransportSettings
from kajitori.kit.clock import SystemClock

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"
OWN = {"made-by": "load"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ApiProcess:
    """`kajitori apiserver` as a child that may be killed: the whole server, TLS and RBAC and all."""

    def __init__(self, data_dir: Path, store: str = "sqlite") -> None:
        self.port = free_port()
        self.layout = Layout(data_dir)
        record = ClusterRecord(port=self.port, nodes=0, store=store)
        self.layout.logs.mkdir(parents=True, exist_ok=True)
        write_record(self.layout, record)
        prepare(self.layout, record, time.time())
        self.process: subprocess.Popen[bytes] | None = None

    def client(self, timeout_s: float = 20.0) -> HttpClient:
        access = read_kubeconfig(self.layout.kubeconfig)
        return HttpClient(access, SystemClock(), settings=TransportSettings(connections=16, timeout_s=timeout_s))

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "kajitori", "apiserver", "--data-dir", str(self.layout.root), *options]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, env=environment, stderr=errors)

    @property
    def errors(self) -> Path:
        """What it said on stderr."""
        return self.layout.logs / "apiserver.err"

    async def ready(self, client: HttpClient) -> None:
        assert self.process is not None
        deadline_s = time.monotonic() + 120
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.errors.read_text()[-2000:]
            try:
                if (await client.raw("GET", "/readyz"))[0] == 200:
                    return
            except Disconnected:
                pass
            await asyncio.sleep(0.02)
        raise AssertionError("the API server is not ready within 30 s")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Ledger:
    """What the writers were told. `unsure` are writes whose answer never came: they may have been done, or not."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, str] | None] = {}
        self.unsure: dict[str, str | None] = {}
        self.revisions: dict[int, str] = {}
        self.acknowledged = 0
        self._grown = asyncio.Event()
        # An update that changes nothing would make no revision.
        self.turns = itertools.count(1)

    def put(self, name: str, obj: dict[str, Any]) -> None:
        revision = int(obj["metadata"]["resourceVersion"])
        assert revision not in self.revisions, f"revision {revision}: {name} and {self.revisions[revision]}"
        self.revisions[revision] = name
        self._acknowledge(name, (revision, obj["data"]["text"]))

    def deleted(self, name: str) -> None:
        self._acknowledge(name, None)

    def _acknowledge(self, name: str, state: tuple[int, str] | None) -> None:
        self.known[name] = state
        self.acknowledged += 1
        self._grown.set()

    async def more(self, writes: int) -> None:
        """Until so many more writes have been acknowledged."""
        enough = self.acknowledged + writes
        while self.acknowledged < enough:
            self._grown.clear()
            await self._grown.wait()

    def compare(self, found: dict[str, tuple[int, str]]) -> None:
        """Every acknowledged write is there, and of the others all or nothing. What was unsure is sure afterwards."""
        assert len({revision for revision, _ in found.values()}) == len(found), "two objects share a revision"
        for name, state in self.known.items():
            if name in self.unsure and _text(found.get(name)) == self.unsure[name]:
                self.known[name] = found.get(name)
                continue
            assert found.get(name) == state, f"{name}: acknowledged {state}, found {found.get(name)}"
        self.unsure.clear()
        assert found.keys() <= self.known.keys()


def _text(state: tuple[int, str] | None) -> str | None:
    return None if state is None else state[1]


async def write(client: HttpClient, ledger: Ledger, rng: random.Random, writer: str, slots: int = 4) -> None:
    """Create, update and delete until the server is gone. A name whose write is unsure is left alone."""
    while True:
        name = f"{writer}-{rng.randrange(slots)}"
        while name in ledger.unsure:
            name += "x"
        text = f"{writer} {next(ledger.turns)} " + "y" * rng.choice((0, 300, 5000))
        state = ledger.known.setdefault(name, None)
        metadata: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "labels": OWN}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}
        deletes = state is not None and rng.random() < 0.3
        try:
            if state is None:
                ledger.put(name, await client.create(core.CONFIG_MAP, obj))
            elif deletes:
                await client.delete(core.CONFIG_MAP, name, NAMESPACE)
                ledger.deleted(name)
            else:
                metadata["resourceVersion"] = str(state[0])
                ledger.put(name, await client.update(core.CONFIG_MAP, obj))
        except (Disconnected, asyncio.CancelledError) as error:
            ledger.unsure[name] = None if deletes else text
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        except (Conflict, AlreadyExists) as error:
            raise AssertionError(f"{name}: acknowledged {state}, but {error}") from error
        except StatusError as error:
            assert error.code in (429, 500, 503, 504), error
            ledger.unsure[name] = None if deletes else text
            await asyncio.sleep(0.05)


async def present(client: HttpClient) -> tuple[dict[str, tuple[int, str]], int]:
    """What a consistent list shows of the writers' objects, and its revision."""
    listed = await client.list(core.CONFIG_MAP, NAMESPACE, label_selector="made-by=load")
    found = {o["metadata"]["name"]: (int(o["metadata"]["resourceVersion"]), o["data"]["text"]) for o in listed.items}
    return found, int(listed.resource_version)


class Onlooker:
    """A watcher that begins again from its last revision whenever it is cut off, and lists anew after a 410."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self.revision = self.since = 0
        self.model: dict[str, int] = {}
        self.seen: set[int] = set()
        self.relists: list[tuple[int, int]] = []
        self.reconnects = 0

    async def run(self) -> None:
        while True:
            try:
                if self.revision == 0:
                    await self._list()
                    self.since = self.revision
                await self._watch()
            except Disconnected:
                self.reconnects += 1
            except Expired:
                await self._relist()
            except StatusError as error:
                assert error.code in (429, 500, 503, 504), error
            await asyncio.sleep(0.02)

    async def _relist(self) -> None:
        before = self.revision
        try:
            await self._list()
        except (Disconnected, StatusError):
            return
        self.relists.append((before, self.revision))

    async def _list(self) -> None:
        found, revision = await present(self._client)
        assert revision >= self.revision, f"the store went back from {self.revision} to {revision}"
        self.model = {name: state[0] for name, state in found.items()}
        self.revision = revision

    async def _watch(self) -> None:
        watch = self._client.watch(
            core.CONFIG_MAP, NAMESPACE, resource_version=str(self.revision), label_selector="made-by=load"
        )
        async for event in watch:
            metadata = event.object["metadata"]
            revision = int(metadata["resourceVersion"])
            if event.type == WatchEventType.BOOKMARK:
                assert revision >= self.revision
                self.revision = revision
                continue
            assert revision > self.revision, f"{revision} after {self.revision}: repeated or out of order"
            self.revision = revision
            self._take(event.type, metadata["name"], revision)

    def _take(self, type: WatchEventType, name: str, revision: int) -> None:
        assert (type == WatchEventType.ADDED) == (name not in self.model), f"{type} of {name} at {revision}"
        self.seen.add(revision)
        if type == WatchEventType.DELETED:
            del self.model[name]
        else:
            self.model[name] = revision

    def compare(self, ledger: Ledger, found: dict[str, tuple[int, str]]) -> None:
        """Nothing missed: the model is what is there, and every acknowledged write was told or is in a gap of a 410."""
        assert self.model == {name: state[0] for name, state in found.items()}
        for revision in ledger.revisions:
            if self.since < revision <= self.revision and revision not in self.seen:
                assert any(low < revision <= high for low, high in self.relists), f"revision {revision} was missed"

    async def reached(self, revision: int) -> None:
        deadline_s = time.monotonic() + 120
        while self.revision < revision:
            assert time.monotonic() < deadline_s, f"the watch stands at {self.revision}, the store at {revision}"
            await asyncio.sleep(0.01)
