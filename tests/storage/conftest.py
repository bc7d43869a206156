"""Every backend, behind one fixture: a test says what a store must do, not which one."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kajitori.kit.clock import SystemClock
from kajitori.storage.interface import Storage, Unavailable
from kajitori.storage.memory import MemoryStorage
from kajitori.storage.sqlite import SqliteStorage


class Etcd:
    """A real etcd of one member, on the loopback and in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        client, peer = free_port(), free_port()
        self.address = f"etcd://127.0.0.1:{client}"
        urls = {
            "--listen-client-urls": f"http://127.0.0.1:{client}",
            "--advertise-client-urls": f"http://127.0.0.1:{client}",
            "--listen-peer-urls": f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
            "--initial-cluster": f"default=http://127.0.0.1:{peer}",
            "--heartbeat-interval": "10",
            "--election-timeout": "100",
            "--data-dir": str(folder / "etcd"),
            "--log-level": "error",
        }
        command = ["etcd", *(part for pair in urls.items() for part in pair)]
        self._command = command
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def connect(where: str, **options: int) -> Storage:
    from kajitori.storage.etcd import EtcdStorage
    from kajitori.storage.etcd_channel import EtcdAddress

    for _ in range(200):
        store = EtcdStorage(EtcdAddress.parse(where), SystemClock(), **options)
        try:
            await store.revision()
            return store
        except Unavailable:
            await store.close()
            await asyncio.sleep(0.05)
    raise AssertionError("etcd did not start")


@pytest.fixture
def etcd(tmp_path: Path):
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed")
    server = Etcd(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def connected():
    """`await connected(address)`: a store, once the server answers."""
    return connect


@pytest.fixture(params=["memory", "sqlite", pytest.param("etcd", marks=pytest.mark.e2e)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(request: pytest.FixtureRequest, backend: str, tmp_path: Path):
    """`async with opened() as store`."""
    etcd = request.getfixturevalue("etcd") if backend == "etcd" else None

    @asynccontextmanager
    async def open_(**options: int) -> AsyncIterator[Storage]:
        store: Storage
        if etcd is not None:
            store = await connect(etcd.address, **options)
        elif backend == "memory":
            store = MemoryStorage(**options)
        else:
            store = await SqliteStorage.open(tmp_path / "state.db", **options)
        try:
            yield store
        finally:
            await store.close()

    return open_


@pytest.fixture
def run(opened):
    """Run `scenario(store)` to its end on an empty store."""

    def run_(scenario, **options):
        async def main():
            async with opened(**options) as store:
                return await asyncio.wait_for(scenario(store), 30)

        return asyncio.run(main())

    return run_
