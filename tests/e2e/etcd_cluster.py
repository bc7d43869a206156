"""Members of a real etcd (Debian's 3.4) on the loopback, each of which may be killed and come back."""

import asyncio
import subprocess
from collections.abc import Sequence
from pathlib import Path

from store_load import free_port

from kajitori.storage.factory import open_storage
from kajitori.storage.interface import Unavailable


class EtcdCluster:
    """`secure` are further options of every member, and make its addresses https."""

    def __init__(self, folder: Path, members: int, secure: Sequence[str] = ()) -> None:
        scheme = "https" if secure else "http"
        self._ports = [(free_port(), free_port()) for _ in range(members)]
        cluster = ",".join(f"m{n}=http://127.0.0.1:{peer}" for n, (_, peer) in enumerate(self._ports))
        self._commands = [
            [
                *("etcd", "--name", f"m{n}", "--data-dir", str(folder / f"m{n}"), "--log-level", "error"),
                *("--listen-client-urls", f"{scheme}://127.0.0.1:{client}"),
                *("--advertise-client-urls", f"{scheme}://127.0.0.1:{client}"),
                *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
                *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
                *("--initial-cluster", cluster, "--heartbeat-interval", "50", "--election-timeout", "500"),
                *secure,
            ]
            for n, (client, peer) in enumerate(self._ports)
        ]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return "etcd://" + ",".join(f"127.0.0.1:{client}" for client, _ in self._ports)

    def start(self, *members: int) -> None:
        for n in members or range(len(self._commands)):
            self.processes[n] = subprocess.Popen(
                self._commands[n], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )

    def kill(self, *members: int) -> None:
        for n in members or tuple(self.processes):
            process = self.processes.pop(n)
            process.kill()
            process.wait()

    def wait(self, query: str = "") -> None:
        """Until it answers a consistent read."""
        asyncio.run(self._answer(self.url + query))

    async def _answer(self, url: str) -> None:
        for _ in range(200):
            store = await open_storage(url)
            try:
                await store.revision()
                return
            except Unavailable:
                await asyncio.sleep(0.1)
            finally:
                await store.close()
        raise AssertionError("etcd did not start")
