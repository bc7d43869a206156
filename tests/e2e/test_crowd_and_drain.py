"""The API server's process in a crowd of connections that say nothing, and asked to end while it is busy."""

import asyncio
import os
import resource
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_load import ApiProcess

from kajitori.api import core
from kajitori.client.interface import Disconnected
from kajitori.client.kubeconfig import read_kubeconfig
from kajitori.client.transport import tls_context

pytestmark = pytest.mark.e2e

IDLE = int(os.environ.get("KAJITORI_IDLE", "1000"))
"""How many connections lie idle; 10000 takes two minutes and 500 MB for the clients."""
IDLE_BYTES_MAX = 64 << 10
"""What one idle TLS connection may cost the server; 49 KiB were measured, most of it in the TLS layers."""


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def tls_of(server: ApiProcess) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.layout.pki / "ca.crt"))


def asked(server: ApiProcess, tls: ssl.SSLContext, path: str = "/livez") -> ssl.SSLSocket:
    """A connection that has had one answer."""
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection = tls.wrap_socket(plain, server_hostname="127.0.0.1")
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    return connection


def test_idle_connections_cost_little_and_disturb_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        server = ApiProcess(tmp_path)
        with many_files():
            server.start()
        client, crowd = server.client(), []
        try:
            await server.ready(client)
            assert server.process is not None
            tls, pid = tls_of(server), server.process.pid
            crowd.append(await asyncio.to_thread(asked, server, tls))
            before = resident_bytes(pid)
            with many_files():
                for _ in range(IDLE):
                    crowd.append(await asyncio.to_thread(asked, server, tls))
                each = (resident_bytes(pid) - before) / IDLE
                assert each < IDLE_BYTES_MAX, f"{IDLE} idle TLS connections take {each / 1024:.1f} KiB each"
                started = time.monotonic()
                for _ in range(20):
                    assert (await client.raw("GET", "/api/v1/namespaces"))[0] == 200
                assert (time.monotonic() - started) / 20 < 2
        finally:
            for connection in crowd:
                connection.close()
            await client.close()
            server.kill()

    asyncio.run(main())


def test_a_server_that_is_asked_to_end_loses_nothing_and_breaks_nothing_off(tmp_path: Path) -> None:
    async def main() -> None:
        server = ApiProcess(tmp_path)
        server.start()
        client, acknowledged = server.client(), []
        try:
            await server.ready(client)
            assert server.process is not None
            reader, writer = await watching(server)

            async def create(number: int) -> None:
                while True:
                    name = f"c{number}-{len(acknowledged)}"
                    try:
                        await client.create(core.CONFIG_MAP, {"metadata": {"name": name, "namespace": "default"}})
                    except Disconnected:
                        return
                    acknowledged.append(name)

            writers = [asyncio.create_task(create(number)) for number in range(8)]
            while len(acknowledged) < 50:
                await asyncio.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            # The watch ends with its last chunk, not in the middle of one.
            assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"0\r\n\r\n")
            writer.close()
            await asyncio.wait_for(asyncio.gather(*writers), 20)
            assert await asyncio.to_thread(server.process.wait, 20) == 0
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            server.start()
            again = server.client()
            await server.ready(again)
            names = {obj["metadata"]["name"] for obj in (await again.list(core.CONFIG_MAP, "default")).items}
            await again.close()
            assert names.issuperset(acknowledged)
        finally:
            await client.close()
            server.kill()

    asyncio.run(main())


async def watching(server: ApiProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A watch by the administrator, on a connection whose bytes are seen."""
    access = read_kubeconfig(server.layout.kubeconfig)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls_context(access))
    writer.write(b"GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    return reader, writer
