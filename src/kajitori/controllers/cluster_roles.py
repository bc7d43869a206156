"""ClusterRoles that are made of others: `aggregationRule` selects them by label, this loop joins their rules."""

from collections.abc import Iterable

from kajitori.api.meta import Object, ObjectKey, key_of, labels_of, name_of
from kajitori.api.rbac import CLUSTER_ROLE
from kajitori.api.selectors import from_label_selector
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, mapped


def selects(role: Object, other: Object) -> bool:
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    labels = labels_of(other)
    return name_of(role) != name_of(other) and any(from_label_selector(s).matches(labels) for s in selectors)


def joined_rules(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules of all selected roles, each once, in the order of the roles' names."""
    rules: list[Object] = []
    for other in sorted((r for r in roles if selects(role, r)), key=name_of):
        rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


class ClusterRoleAggregator(Controller):
    name = "clusterrole-aggregation-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.roles = context.informer(CLUSTER_ROLE)

    def sources(self) -> Iterable[Source]:
        return (mapped(CLUSTER_ROLE, self._concerned),)

    def _concerned(self, role: Object) -> list[ObjectKey]:
        aggregated = [r for r in self.roles.list() if selects(r, role)]
        return [key_of(r) for r in aggregated] + ([key_of(role)] if role.get("aggregationRule") else [])

    async def reconcile(self, key: ObjectKey) -> float | None:
        role = self.roles.get(key)
        if role is None or not role.get("aggregationRule"):
            return None
        rules = joined_rules(role, self.roles.list())
        if rules != (role.get("rules") or []):
            await self.writes.update(CLUSTER_ROLE, {**role, "rules": rules})
        return None
