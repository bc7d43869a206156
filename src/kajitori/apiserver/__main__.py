"""`python -m kajitori.apiserver [--port N]`: a server on loopback that allows everything and forgets at its end.

For trying out the API server alone; a cluster is started with `kajitori up`.
"""

import argparse
import asyncio
import signal
import ssl
import sys
from pathlib import Path

import uvloop

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.apiserver.http.tls import server_context
from kajitori.apiserver.server import ApiServer
from kajitori.kit import log
from kajitori.kit.clock import SystemClock
from kajitori.storage.memory import MemoryStorage

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def serve(port: int, tls: ssl.SSLContext | None) -> None:
    storage, registry = MemoryStorage(), Registry()
    server = ApiServer(storage, registry, SystemClock())
    await server.start()
    namespaces = registry.by_path("", "v1", "namespaces")
    assert namespaces is not None
    for name in NAMESPACES:
        namespace: Object = {"metadata": {"name": name}}
        await server.objects.create(namespaces, namespace)
    port = await server.serve("127.0.0.1", port, tls)
    sys.stdout.write(f"{'https' if tls else 'http'}://127.0.0.1:{port}\n")
    sys.stdout.flush()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await server.stop()
    await storage.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="kajitori.apiserver", description="An API server for trying out.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    options = parser.parse_args()
    log.configure()
    tls = server_context(options.certificate, options.key) if options.certificate else None
    uvloop.run(serve(options.port, tls))


if __name__ == "__main__":
    main()
