"""A control plane in this process: for the tests of controllers, the scheduler, operators."""

import random
from types import TracebackType
from typing import Self

from kajitori.api.meta import Object
from kajitori.api.registry import BUILTIN, Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.extension import ADMIN, Extension
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.local_client import LocalClient
from kajitori.apiserver.server import ApiServer, ApiServerConfig
from kajitori.kit.clock import Clock, VirtualClock
from kajitori.storage.interface import Storage
from kajitori.storage.memory import MemoryStorage

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class ControlPlane:
    """API server on memory storage and, unless a clock is given, on virtual time; allows everything unless an
    extension is given. Each seed gives the same uids and generated names.

    async with ControlPlane() as plane:
        await plane.client.create(CONFIG_MAP, ...)
        await plane.clock.advance(30)
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        storage: Storage | None = None,
        registry: Registry | None = None,
        extension: Extension | None = None,
        config: ApiServerConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.virtual = VirtualClock()
        self.clock = clock or self.virtual
        self.storage = storage or MemoryStorage()
        self.registry = registry or Registry(BUILTIN)
        self.server = ApiServer(self.storage, self.registry, self.clock, config, random.Random(seed))
        self._extension = extension
        self.client = LocalClient(self.server)

    def client_of(self, user: User) -> LocalClient:
        return LocalClient(self.server, user)

    async def __aenter__(self) -> Self:
        await self.server.start()
        if self._extension is not None:
            self.server.install(self._extension)
        for name in NAMESPACES:
            await self.add({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.stop()
        await self.storage.close()

    def resource(self, obj: Object) -> Resource:
        found = self.registry.by_kind(obj["apiVersion"], obj["kind"])
        assert found is not None, f"no such kind: {obj['apiVersion']} {obj['kind']}"
        return found

    async def add(self, obj: Object) -> Object:
        """Create an object, its status included."""
        resource = self.resource(obj)
        created = await self.server.objects.create(resource, obj)
        if "status" not in obj or created.get("status") == obj["status"]:
            return created

        def with_status(current: Object) -> Object:
            return {**current, "status": obj["status"]}

        metadata = created["metadata"]
        return await self.server.objects.update(resource, metadata["name"], metadata.get("namespace", ""), with_status)

    async def settle(self) -> None:
        """Let everything that can run, run."""
        await self.virtual.settle()


__all__ = ["ADMIN", "ControlPlane"]
