"""Reservations that several API servers on one store agree on: each namespace's stand in one object of the store.

A server decides on what its cache shows at one revision: the objects, and the reservations that stand for what is not
stored yet. It admits only if it can write the reservations anew over the very version it decided on. So no two servers
decide on the same state, and none misses what another has admitted: that is either in the version it wrote over, or
was taken out of it because the object is stored, at a revision that the cache has seen by then. Upstream does the same
with the quota's status, which counts what is stored only after a while.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from kajitori.api.errors import AlreadyExists, Forbidden, NotFound, StatusError
from kajitori.api.meta import Object, name_of
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.quota_reservations import Reservation, Reservations
from kajitori.apiserver.interfaces import Objects

log = logging.getLogger(__name__)

QUOTA_RESERVATIONS = Resource(
    group="", version="v1", kind="QuotaReservations", plural="quotareservations", namespaced=False
)
"""Not registered, so not served; named for its namespace. `reservations` by uid."""

KEPT_S = 20.0
"""Longer than a write to etcd may stay without an answer (10 s) and etcd's own patience with it (7 s)."""

Decide = Callable[[], Reservation | None]
"""On what the cache and the reservations show now; None when nothing is to be reserved. Raises Forbidden."""


@dataclass(slots=True)
class _Asked:
    uid: str
    decide: Decide
    answer: asyncio.Future[None]


class _Overtaken(Exception):
    """Somebody else has written the reservations meanwhile."""


class SharedReservations:
    """Requests that come while a namespace's are being written are decided together, and written with one write."""

    def __init__(self, objects: Objects, reservations: Reservations) -> None:
        self._objects = objects
        self._reservations = reservations
        self._asked: dict[str, list[_Asked]] = {}
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    async def reserve(self, namespace: str, uid: str, decide: Decide) -> None:
        """Raises Forbidden, or what the store's refusal means."""
        if self._unsubscribe is None:
            self._unsubscribe = self._objects.subscribe(QUOTA_RESERVATIONS, self._changed)
        asked = _Asked(uid, decide, asyncio.get_running_loop().create_future())
        self._asked.setdefault(namespace, []).append(asked)
        if namespace not in self._serving:
            self._serving[namespace] = asyncio.create_task(self._serve(namespace))
        await asked.answer

    async def forget(self, namespace: str) -> None:
        """The namespace has no quota any more."""
        try:
            if self._objects.cached(QUOTA_RESERVATIONS, namespace) is not None:
                await self._objects.delete(QUOTA_RESERVATIONS, namespace)
        except NotFound:
            return
        except StatusError as error:
            log.warning("reservations of namespace %s stay: %s", namespace, error)

    def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        for task in self._serving.values():
            task.cancel()

    def _changed(self, event: str, obj: Object) -> None:
        listed = {} if event == "DELETED" else obj["reservations"]
        uids = {uid: Reservation.of_document(document) for uid, document in listed.items()}
        self._reservations.replace(name_of(obj), uids, KEPT_S)

    async def _serve(self, namespace: str) -> None:
        together: list[_Asked] = []
        try:
            while together := self._asked.pop(namespace, []):
                try:
                    refusals = await self._settle(namespace, together)
                except Exception as error:
                    refusals = [error] * len(together)
                for asked, refused in zip(together, refusals, strict=True):
                    if asked.answer.done():
                        continue
                    if refused is None:
                        asked.answer.set_result(None)
                    else:
                        asked.answer.set_exception(refused)
        finally:
            del self._serving[namespace]
            for asked in (*together, *self._asked.pop(namespace, [])):
                if not asked.answer.done():
                    asked.answer.cancel()

    async def _settle(self, namespace: str, together: list[_Asked]) -> list[Exception | None]:
        """What each is refused with, None for those that are reserved."""
        sure = False
        while True:
            # Without a pause: the objects and the reservations are of one revision of the cache.
            found = self._objects.cached(QUOTA_RESERVATIONS, namespace)
            version = found["metadata"]["resourceVersion"] if found is not None else ""
            refusals, reserved = self._decide(namespace, together)
            if not sure and any(refusals):
                await self._objects.caught_up()  # a place may have become free
                sure = True
                continue
            if not reserved:
                return refusals
            listed = {uid: one.document() for uid, one in self._reservations.active(namespace).items()} | reserved
            try:
                await self._write(namespace, version, listed)
            except (_Overtaken, AlreadyExists, NotFound):
                await self._objects.caught_up()
                continue
            await self._objects.caught_up()
            return refusals

    def _decide(self, namespace: str, together: list[_Asked]) -> tuple[list[Exception | None], dict[str, Object]]:
        """One after the other, each with what those before it have reserved."""
        refusals: list[Exception | None] = []
        held, before = self._reservations.held(namespace), self._reservations.active(namespace)
        for asked in together:
            try:
                reservation = None if asked.answer.done() else asked.decide()
            except Forbidden as refused:
                refusals.append(refused)
                continue
            refusals.append(None)
            if reservation is not None:
                self._reservations.add(namespace, asked.uid, reservation, KEPT_S)
        after = self._reservations.active(namespace)
        self._reservations.restore(namespace, held)  # they count once the store has them
        return refusals, {uid: one.document() for uid, one in after.items() if before.get(uid) is not one}

    async def _write(self, namespace: str, version: str, listed: Object) -> None:
        if not version:
            await self._objects.create(QUOTA_RESERVATIONS, {"metadata": {"name": namespace}, "reservations": listed})
            return

        def change(current: Object) -> Object:
            if current["metadata"]["resourceVersion"] != version:
                raise _Overtaken
            return {**current, "reservations": listed}

        await self._objects.update(QUOTA_RESERVATIONS, namespace, "", change)
