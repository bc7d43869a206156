"""What every control loop is handed: client, caches, clock, randomness, events."""

import random

from kajitori.api.meta import Object, ObjectKey, controller_of, namespace_of
from kajitori.api.resource import Resource
from kajitori.client.cache import Cache, Informer
from kajitori.client.events import EventRecorder
from kajitori.client.interface import Client
from kajitori.controllers.kinds import Kinds
from kajitori.controllers.settings import Settings
from kajitori.controllers.writes import Writes
from kajitori.kit.clock import Clock

BY_CONTROLLER = "controller uid"


class Context:
    """One for all loops of a process, so that a kind is listed, watched and indexed once."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        cache: Cache,
        rng: random.Random | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.client = client
        self.clock = clock
        self.cache = cache
        self.rng = rng or random.Random()
        self.writes = Writes(client, cache, clock)
        self.kinds = Kinds(client, self.informer, cache, clock)

    def informer(self, resource: Resource) -> Informer:
        informer = self.cache.informer(resource)
        self.writes.watch(resource, informer)
        return informer

    def index_by_controller(self, resource: Resource) -> Informer:
        """`by_index(BY_CONTROLLER, uid)` finds what an owner controls."""
        informer = self.informer(resource)
        informer.add_index(BY_CONTROLLER, _controller_uids)
        return informer

    def recorder(self, component: str) -> EventRecorder:
        return EventRecorder(self.client, self.clock, component)

    def get(self, resource: Resource, key: ObjectKey) -> Object | None:
        return self.informer(resource).get(key)


def _controller_uids(obj: Object) -> list[str]:
    owner = controller_of(obj)
    return [owner["uid"] if owner else orphans_of(namespace_of(obj))]


def orphans_of(namespace: str) -> str:
    """Under which value the index by controller keeps a namespace's objects that no one controls."""
    return f"orphans of {namespace}"
