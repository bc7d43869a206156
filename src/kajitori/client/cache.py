"""A copy of some resources in memory, kept current by list and watch, that reconcilers read from.

`Cache.informer(resource)` declares interest, `run` keeps every informer current, `synced` waits until each has listed
once.
"""

import asyncio
import random
from collections.abc import Iterable

from kajitori.api.resource import Resource
from kajitori.client.informer import Informer
from kajitori.client.interface import Client
from kajitori.kit.clock import Clock

_Identity = tuple[str, str, str, str | None, str, str]


class Cache:
    """Informers by what they watch: the same arguments give the same informer, so that parts share one copy."""

    def __init__(self, client: Client, clock: Clock, rng: random.Random | None = None) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng or random.Random()
        self._informers: dict[_Identity, Informer] = {}
        self._tasks: dict[_Identity, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def informer(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Informer:
        """One declared while `run` is under way starts at once."""
        identity = _identity(resource, namespace, label_selector, field_selector)
        informer = self._informers.get(identity)
        if informer is None:
            informer = self._informers[identity] = Informer(
                self._client,
                self._clock,
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                rng=self._rng,
            )
            if self._group is not None:
                self._start(self._group, identity, informer)
        return informer

    def drop(self, informers: Iterable[Informer]) -> None:
        """Stop watching what no one needs any more, such as the kind of a deleted CustomResourceDefinition."""
        unwanted = set(informers)
        for identity in [i for i, informer in self._informers.items() if informer in unwanted]:
            del self._informers[identity]
            if task := self._tasks.pop(identity, None):
                task.cancel()

    async def run(self) -> None:
        """Keep every informer current, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for identity, informer in self._informers.items():
                    self._start(group, identity, informer)
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            self._tasks.clear()

    async def synced(self) -> None:
        """Wait until every informer declared so far has listed once."""
        for informer in list(self._informers.values()):
            await informer.synced()

    def _start(self, group: asyncio.TaskGroup, identity: _Identity, informer: Informer) -> None:
        self._tasks[identity] = group.create_task(informer.run(), name=f"informer {informer.resource.qualified_name}")


def _identity(resource: Resource, namespace: str | None, label_selector: str, field_selector: str) -> _Identity:
    return resource.group, resource.version, resource.plural, namespace, label_selector, field_selector


__all__ = ["Cache", "Informer"]
