"""The status of every ResourceQuota: what is permitted and what is used, written when either changes."""

import asyncio
import logging
from collections.abc import Callable

from kajitori.api import core
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.apiserver.admission.plugin import Kind
from kajitori.apiserver.admission.quota_usage import kind_counted
from kajitori.apiserver.admission.quotas import QuotaLedger
from kajitori.apiserver.interfaces import Objects
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)
# Changes within this long are written together.
_GATHER_S = 0.1


class QuotaStatus:
    """Follows only the kinds that some quota counts; asleep while there is no quota."""

    def __init__(self, objects: Objects, ledger: QuotaLedger, clock: Clock) -> None:
        self._objects = objects
        self._ledger = ledger
        self._clock = clock
        self._quotas: dict[str, set[str]] = {}
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._followed: dict[Kind, Callable[[], None]] = {}

    async def run(self) -> None:
        unsubscribe = self._objects.subscribe(core.RESOURCE_QUOTA, self._quota_changed)
        if left := set(self._ledger.namespaces()) - self._quotas.keys():
            self._changed |= left
            self._wake.set()
        try:
            while True:
                await self._wake.wait()
                await self._clock.sleep(_GATHER_S)
                self._wake.clear()
                changed, self._changed = self._changed, set()
                for namespace in changed & self._quotas.keys():
                    await self._settle(namespace)
                await self._ledger.forget(changed - self._quotas.keys())
        finally:
            unsubscribe()
            for stop in self._followed.values():
                stop()

    def _quota_changed(self, event: str, quota: Object) -> None:
        namespace, names = namespace_of(quota), self._quotas.setdefault(namespace_of(quota), set())
        if event == "DELETED":
            names.discard(name_of(quota))
            if not names:
                del self._quotas[namespace]
                self._changed.add(namespace)
                self._wake.set()
            return
        names.add(name_of(quota))
        for name in quota["spec"].get("hard") or {}:
            if (kind := kind_counted(name)) is not None:
                self._follow(kind)
        self._touch(namespace)

    def _follow(self, kind: Kind) -> None:
        resource = self._ledger.resource_of(kind)
        if kind not in self._followed and resource is not None:
            # Claimed first: subscribing calls back at once.
            self._followed[kind] = lambda: None
            self._followed[kind] = self._objects.subscribe(resource, lambda _, obj: self._touch(namespace_of(obj)))

    def _touch(self, namespace: str) -> None:
        if namespace in self._quotas:
            self._changed.add(namespace)
            self._wake.set()

    async def _settle(self, namespace: str) -> None:
        for quota in list(self._objects.cached_list(core.RESOURCE_QUOTA, namespace)):
            used = {name: str(amount) for name, amount in self._ledger.used(quota, reserved=False).items()}
            status = {"hard": dict(quota["spec"].get("hard") or {}), "used": used}
            if quota.get("status") != status:
                await self._write(quota, status)

    async def _write(self, quota: Object, status: Object) -> None:
        try:
            await self._objects.update(
                core.RESOURCE_QUOTA, name_of(quota), namespace_of(quota), lambda found: {**found, "status": status}
            )
        except NotFound:
            return
        except StatusError as error:
            log.warning("status of ResourceQuota %s/%s: %s; retrying", namespace_of(quota), name_of(quota), error)
            self._touch(namespace_of(quota))
