"""Nobody gives away what he does not have: checks around writes of roles and bindings.

Source: RBAC reference, "Privilege escalation prevention and bootstrapping".
"""

from kajitori.api import rbac
from kajitori.api.errors import Forbidden, NotFound
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.api.resource import Resource
from kajitori.apiserver.authz.rbac import RbacAuthorizer
from kajitori.apiserver.authz.rules import Rule, compact, describe, rules_of, uncovered
from kajitori.apiserver.authz.union import SUPERUSERS
from kajitori.apiserver.http_types import RestHooks, WriteContext
from kajitori.apiserver.interfaces import Attributes, Authorizer, User, Verdict, decided

_GROUP = "rbac.authorization.k8s.io"
_FULL = Rule(*(frozenset("*"),) * 3)
_FULL_PATHS = Rule(frozenset("*"), paths=frozenset("*"))


class _EscalationHooks(RestHooks):
    def __init__(self, resource: Resource, authorizer: Authorizer, rules: RbacAuthorizer) -> None:
        self._resource = resource
        self._authorizer = authorizer
        self._rules = rules

    async def _may(self, user: User, verb: str, plural: str, namespace: str, name: str) -> bool:
        """By a verb of its own, or as one of those who may everything."""
        if SUPERUSERS in user.groups:
            return True
        asked = Attributes(user, verb, _GROUP, "v1", plural, namespace=namespace, name=name)
        return (await decided(self._authorizer, asked))[0] is Verdict.ALLOW


class RoleHooks(_EscalationHooks):
    """For Role and ClusterRole: the rules must be covered by the writer's own, or he may `escalate`."""

    async def before_create(self, obj: Object, context: WriteContext) -> None:
        await self._check(obj, context.user)

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        if new.get("rules") != old.get("rules") or new.get("aggregationRule") != old.get("aggregationRule"):
            await self._check(new, context.user, old)

    async def _check(self, role: Object, user: User, old: Object | None = None) -> None:
        namespace = namespace_of(role)
        if await self._may(user, "escalate", self._resource.plural, namespace, name_of(role)):
            return
        owned = list(self._rules.rules_for(user, namespace))
        aggregates = role.get("aggregationRule") or (old or {}).get("aggregationRule")
        if aggregates and uncovered(owned, (_FULL, _FULL_PATHS)):
            raise _forbidden(self._resource, role, "must have cluster-admin privileges to use the aggregationRule")
        refuse_uncovered(self._resource, role, user, owned, rules_of(role))


class BindingHooks(_EscalationHooks):
    """For RoleBinding and ClusterRoleBinding: the writer has all that the role gives, or he may `bind` it."""

    async def before_create(self, obj: Object, context: WriteContext) -> None:
        await self._check(obj, context.user)

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        if any(new.get(field) != old.get(field) for field in ("roleRef", "subjects")):
            await self._check(new, context.user)

    async def _check(self, binding: Object, user: User) -> None:
        role, namespace = binding["roleRef"], namespace_of(binding)
        of_cluster = role.get("kind") == "ClusterRole"
        plural = (rbac.CLUSTER_ROLE if of_cluster else rbac.ROLE).plural
        if await self._may(user, "bind", plural, namespace, role.get("name", "")):
            return
        wanted = self._rules.role_rules(role.get("kind", ""), role.get("name", ""), namespace)
        if wanted is None:
            raise NotFound.of(_GROUP, self._resource.plural, role.get("name", ""))  # sic: of what was asked for
        refuse_uncovered(self._resource, binding, user, list(self._rules.rules_for(user, namespace)), wanted)


def refuse_uncovered(resource: Resource, obj: Object, user: User, owned: list[Rule], wanted: tuple[Rule, ...]) -> None:
    """Raise Forbidden when part of `wanted` is not covered by `owned`."""
    missing = uncovered(owned, wanted)
    if not missing:
        return
    shown = "\n".join(sorted(describe(rule) for rule in compact(missing)))
    groups = " ".join(f'"{group}"' for group in user.groups)
    who = f'user "{user.name}" (groups=[{groups}])'
    raise _forbidden(resource, obj, f"{who} is attempting to grant RBAC permissions not currently held:\n{shown}")


def _forbidden(resource: Resource, obj: Object, why: str) -> Forbidden:
    name = name_of(obj)
    details = {"name": name, "group": _GROUP, "kind": resource.plural}
    return Forbidden(f'{resource.qualified_name} "{name}" is forbidden: {why}', details)
