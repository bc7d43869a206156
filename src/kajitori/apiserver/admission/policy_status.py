"""The status of every ValidatingAdmissionPolicy: which generation has been type-checked, and what was found."""

import asyncio
import logging

from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, name_of
from kajitori.api.registry import Registry
from kajitori.apiserver.admission.validating_policies import POLICIES
from kajitori.apiserver.interfaces import Objects
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

_RETRY_S = 1.0


class PolicyStatus:
    """Asleep while no policy changes. A policy is checked once for each generation; what waits is bounded by how many
    there are."""

    def __init__(self, objects: Objects, registry: Registry, clock: Clock) -> None:
        self._objects = objects
        self._registry = registry
        self._clock = clock
        self._waiting: dict[str, None] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        unsubscribe = self._objects.subscribe(POLICIES, self._changed)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    name = next(iter(self._waiting))
                    del self._waiting[name]
                    await self._check(name)
        finally:
            unsubscribe()

    def _changed(self, event: str, policy: Object) -> None:
        if event == "DELETED" or not _is_due(policy):
            self._waiting.pop(name_of(policy), None)
            return
        self._waiting[name_of(policy)] = None
        self._wake.set()

    async def _check(self, name: str) -> None:
        from kajitori.api.expressions.type_checking import expression_warnings

        policy = self._objects.cached(POLICIES, name)
        if policy is None or not _is_due(policy):
            return
        warnings = await asyncio.to_thread(expression_warnings, policy, self._registry)
        generation = policy["metadata"]["generation"]
        checked: Object = {
            "observedGeneration": generation,
            "typeChecking": {"expressionWarnings": warnings} if warnings else {},
        }
        try:
            await self._objects.update(
                POLICIES, name, "", lambda found: {**found, "status": {**(found.get("status") or {}), **checked}}
            )
        except NotFound:
            return
        except StatusError as error:
            log.warning("status of ValidatingAdmissionPolicy %s: %s; retrying", name, error)
            await self._clock.sleep(_RETRY_S)
            self._waiting[name] = None


def _is_due(policy: Object) -> bool:
    generation = policy["metadata"].get("generation", 0)
    return bool(generation > (policy.get("status") or {}).get("observedGeneration", 0))
