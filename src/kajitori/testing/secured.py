"""A whole API server in this process with certificates, RBAC and every admission plugin: for tests in which it matters
who asks. `cluster.py` has one that allows everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajitori.api.registry import Registry
from kajitori.apiserver import pki, security
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import Clock
from kajitori.storage.interface import Storage
from kajitori.storage.memory import MemoryStorage


@dataclass(frozen=True, slots=True)
class Secured:
    """`guard` is the security around the server."""

    server: ApiServer
    keys: pki.Pki
    guard: security.Security


@asynccontextmanager
async def secured_server(
    folder: Path, clock: Clock, storage: Storage | None = None, **settings: Any
) -> AsyncIterator[Secured]:
    """Its keys lie in `folder`; `settings` are those of `security.SecurityConfig`. Closes the storage."""
    registry = Registry()
    storage = storage or MemoryStorage()
    server = ApiServer(storage, registry, clock)
    await server.start()
    keys = pki.ensure(folder, ["127.0.0.1"], clock.now())
    guard = security.build(security.SecurityConfig(keys, "10.89.0.1", **settings), server.objects, registry, clock)
    server.install(guard.extension)
    await guard.start()
    try:
        yield Secured(server, keys, guard)
    finally:
        await guard.stop()
        await server.stop()
        await storage.close()
