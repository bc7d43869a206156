"""ClusterRoles made of others: `aggregationRule` selects by label, the rules of the selected become its own."""

import asyncio
import logging

from kajitori.api import rbac
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, labels_of, name_of
from kajitori.api.selectors import from_label_selector
from kajitori.apiserver.interfaces import Objects
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)
_RETRY_S = 1.0


def aggregate(role: Object, roles: list[Object]) -> list[Object]:
    """The rules of every other role that is selected, by name, each once."""
    rules: list[Object] = []
    for selector_document in (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ():
        selector = from_label_selector(selector_document)
        for other in sorted(roles, key=name_of):
            if name_of(other) != name_of(role) and selector.matches(labels_of(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


class Aggregator:
    """Keeps the rules of aggregated ClusterRoles current; sleeps until a ClusterRole changes.

    Upstream's controller of the same duty writes the same, so both may run.
    """

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock
        self._changed = asyncio.Event()

    async def run(self) -> None:
        unsubscribe = self._objects.subscribe(rbac.CLUSTER_ROLE, lambda event, role: self._changed.set())
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    await self.settle()
                except StatusError as error:
                    log.warning("aggregating ClusterRoles: %s; retrying", error)
                    await self._clock.sleep(_RETRY_S)
                    self._changed.set()
        finally:
            unsubscribe()

    async def settle(self) -> None:
        """Write until nothing changes: a role may aggregate one that is aggregated itself."""
        while await self._pass():
            pass

    async def _pass(self) -> bool:
        roles = list(self._objects.cached_list(rbac.CLUSTER_ROLE))
        changed = False
        for role in roles:
            if role.get("aggregationRule"):
                rules = aggregate(role, roles)
                if rules != (role.get("rules") or []):
                    changed = await self._write(name_of(role), rules) or changed
        return changed

    async def _write(self, name: str, rules: list[Object]) -> bool:
        try:
            before = await self._objects.get(rbac.CLUSTER_ROLE, name)
            after = await self._objects.update(rbac.CLUSTER_ROLE, name, "", lambda role: {**role, "rules": rules})
        except NotFound:
            return False
        return bool(before != after)
