"""What all control loops share: events become keys, keys wait in a queue, workers reconcile them and back off."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from kajitori.api.errors import AlreadyExists, Conflict, Forbidden, NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, controller_of, key_of, namespace_of
from kajitori.api.resource import Resource
from kajitori.client.informer import Handler
from kajitori.client.interface import Disconnected, WatchEventType
from kajitori.controllers.context import Context
from kajitori.kit.backoff import Backoff
from kajitori.kit.workqueue import WorkQueue

K = TypeVar("K", bound=Hashable)

log = logging.getLogger("kajitori.controllers")

Keys = Callable[[Object], Iterable[ObjectKey]]


@dataclass(frozen=True, slots=True)
class Source:
    """A kind whose events wake a loop, and the keys that an object stands for.

    `changed(new, old)` may refuse a modification that cannot matter.
    """

    resource: Resource
    keys: Keys
    changed: Callable[[Object, Object], bool] | None = None


def own(resource: Resource, changed: Callable[[Object, Object], bool] | None = None) -> Source:
    """The objects that the loop reconciles."""
    return Source(resource, lambda obj: (key_of(obj),), changed)


def owned(resource: Resource, kind: str, changed: Callable[[Object, Object], bool] | None = None) -> Source:
    """Objects whose controlling owner is of `kind`."""

    def keys(obj: Object) -> Iterable[ObjectKey]:
        owner = controller_of(obj)
        return (ObjectKey(namespace_of(obj), owner["name"]),) if owner and owner["kind"] == kind else ()

    return Source(resource, keys, changed)


def mapped(resource: Resource, keys: Keys, changed: Callable[[Object, Object], bool] | None = None) -> Source:
    """Objects that concern others in the way `keys` says."""
    return Source(resource, keys, changed)


class Loop(Generic[K]):
    """Keys of any type wait in a queue, workers reconcile them.

    The queue holds a key once, so it is bounded by the number of objects; a key that fails waits 5 ms to 60 s.
    """

    name: ClassVar[str]
    workers: ClassVar[int] = 5

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client = context.client
        self.clock = context.clock
        self.writes = context.writes
        self.queue: WorkQueue[K] = WorkQueue(context.clock, Backoff(initial_s=0.005, max_s=60.0))

    async def reconcile(self, key: K) -> float | None:
        """Bring `key` nearer to what is wanted. Returns after how many seconds to look again, None for never."""
        raise NotImplementedError

    def attach(self) -> None:
        """Subscribe to what wakes it; called once, before the caches run."""
        raise NotImplementedError

    async def run(self) -> None:
        """Work until cancelled."""
        workers = [asyncio.ensure_future(self._work()) for _ in range(self.workers)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*workers, return_exceptions=True)
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._reconcile_once(key)
            finally:
                self.queue.done(key)

    async def _reconcile_once(self, key: K) -> None:
        try:
            again_s = await self.reconcile(key)
        except (Conflict, NotFound, AlreadyExists) as error:
            log.debug("%s %s: %s", self.name, key, error)
            self.queue.add_failed(key)
        except (StatusError, Disconnected) as error:
            if is_namespace_terminating(error):
                self.queue.forget(key)
                return
            log.warning("%s cannot reconcile %s yet: %s", self.name, key, error)
            self.queue.add_failed(key)
        except Exception:
            log.exception("%s failed on %s (a defect; it will be tried again)", self.name, key)
            self.queue.add_failed(key)
        else:
            self.queue.forget(key)
            if again_s is not None:
                self.queue.add_after(key, again_s)


class Controller(Loop[ObjectKey]):
    """A loop over objects by namespace and name. `sources` says what wakes it."""

    def sources(self) -> Iterable[Source]:
        raise NotImplementedError

    def attach(self) -> None:
        """Subscribe to every source; called once, before the caches run."""
        for source in self.sources():
            self.context.informer(source.resource).subscribe(self._handler(source))

    def _handler(self, source: Source) -> Handler:
        def handle(kind: WatchEventType, obj: Object, old: Object | None) -> None:
            if kind is WatchEventType.MODIFIED and old is not None:
                if source.changed is not None and not source.changed(obj, old):
                    return
                for key in {*source.keys(obj), *source.keys(old)}:
                    self.queue.add(key)
                return
            for key in source.keys(obj):
                self.queue.add(key)

        return handle


def is_namespace_terminating(error: Exception) -> bool:
    """Whether a creation was refused because its namespace is being deleted: not worth another attempt."""
    if not isinstance(error, Forbidden):
        return False
    causes = (error.details or {}).get("causes") or ()
    return any(cause.get("reason") == "NamespaceTerminating" for cause in causes)
