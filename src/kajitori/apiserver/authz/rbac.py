"""Role-based access control, answered from an index of bindings by subject that follows every change.

The index is a few dictionaries; a decision is remembered until anything in RBAC changes, so that the usual request
costs one lookup.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kajitori.api import rbac
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.apiserver.authz.rules import Rule, rules_of
from kajitori.apiserver.interfaces import Attributes, Objects, User, Verdict

# Distinct questions remembered; when it is full, everything is forgotten and learnt anew.
_REMEMBERED_MAX = 65536

_Subject = tuple[str, str]
_RoleKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Grant:
    """A role bound to a subject. `namespace` is empty for a ClusterRoleBinding."""

    binding: str
    namespace: str
    role_kind: str
    role: str
    subject: str

    def reason(self) -> str:
        binding = (
            f'RoleBinding "{self.binding}/{self.namespace}"'
            if self.namespace
            else f'ClusterRoleBinding "{self.binding}"'
        )
        return f'RBAC: allowed by {binding} of {self.role_kind} "{self.role}" to {self.subject}'


class RbacAuthorizer:
    """Follows roles and bindings through `Objects.subscribe` from `start` to `stop`."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._roles: dict[_RoleKey, tuple[Rule, ...]] = {}
        self._granted: dict[str, dict[_Subject, list[Grant]]] = {}
        self._by_binding: dict[tuple[str, str], list[tuple[_Subject, Grant]]] = {}
        self._remembered: dict[tuple[object, ...], tuple[Verdict, str]] = {}
        self._unsubscribe = [
            objects.subscribe(rbac.CLUSTER_ROLE, self._role_changed),
            objects.subscribe(rbac.ROLE, self._role_changed),
            objects.subscribe(rbac.CLUSTER_ROLE_BINDING, self._binding_changed),
            objects.subscribe(rbac.ROLE_BINDING, self._binding_changed),
        ]

    def stop(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        user = attributes.user
        question = (
            user.name,
            user.groups,
            attributes.verb,
            attributes.group,
            attributes.resource,
            attributes.subresource,
            attributes.namespace,
            attributes.name,
            attributes.path,
        )
        answer = self._remembered.get(question)
        if answer is None:
            if len(self._remembered) >= _REMEMBERED_MAX:
                self._remembered.clear()
            answer = self._remembered[question] = self._decide(attributes)
        return answer

    def rules_for(self, user: User, namespace: str) -> Iterator[Rule]:
        """Every rule that holds for a user in a namespace ("" for cluster-wide ones only)."""
        for _, rules in self._grants(user, namespace):
            yield from rules

    def role_rules(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
        """A role's rules; None when there is no such role."""
        return self._roles.get((namespace if kind == "Role" else "", name))

    def _decide(self, attributes: Attributes) -> tuple[Verdict, str]:
        namespace = attributes.namespace if attributes.is_resource else ""
        for grant, rules in self._grants(attributes.user, namespace):
            if any(rule.allows(attributes) for rule in rules):
                return Verdict.ALLOW, grant.reason()
        missing = aggregated(self.missing_roles(attributes.user, namespace))
        return Verdict.NO_OPINION, f"RBAC: {missing[0]}" if missing else ""

    def missing_roles(self, user: User, namespace: str) -> list[str]:
        """The roles that are bound to a user but do not exist, each in the words of a refusal."""
        return [
            f'{grant.role_kind.lower()}.rbac.authorization.k8s.io "{grant.role}" not found'
            for grant, _ in self._grants(user, namespace)
            if self.role_rules(grant.role_kind, grant.role, grant.namespace) is None
        ]

    def _grants(self, user: User, namespace: str) -> Iterator[tuple[Grant, tuple[Rule, ...]]]:
        for scope in ("", namespace) if namespace else ("",):
            granted = self._granted.get(scope)
            if not granted:
                continue
            for subject in _subjects_of(user):
                for grant in granted.get(subject, ()):
                    yield grant, self.role_rules(grant.role_kind, grant.role, grant.namespace) or ()

    def _role_changed(self, event: str, role: Object) -> None:
        key = (namespace_of(role), name_of(role))
        if event == "DELETED":
            self._roles.pop(key, None)
        else:
            self._roles[key] = rules_of(role)
        self._remembered.clear()

    def _binding_changed(self, event: str, binding: Object) -> None:
        key = (namespace_of(binding), name_of(binding))
        granted = self._granted.setdefault(key[0], {})
        for subject, grant in self._by_binding.pop(key, ()):
            granted[subject].remove(grant)
            if not granted[subject]:
                del granted[subject]
        if event != "DELETED":
            self._by_binding[key] = entries = list(_entries(binding))
            for subject, grant in entries:
                granted.setdefault(subject, []).append(grant)
        if not granted:
            del self._granted[key[0]]
        self._remembered.clear()


def aggregated(errors: Sequence[str]) -> list[str]:
    """Several errors as one, as Go joins them, each said once; none stay none."""
    distinct = list(dict.fromkeys(errors))
    return [f"[{', '.join(distinct)}]"] if len(distinct) > 1 else distinct


def _subjects_of(user: User) -> Iterator[_Subject]:
    yield "User", user.name
    for group in user.groups:
        yield "Group", group


def _entries(binding: Object) -> Iterator[tuple[_Subject, Grant]]:
    role = binding["roleRef"]
    namespace = namespace_of(binding)
    for subject in binding.get("subjects") or ():
        kind, name = subject.get("kind", ""), subject.get("name", "")
        shown = f'{kind} "{name}"'
        key: _Subject = (kind, name)
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            key = ("User", f"system:serviceaccount:{home}:{name}")
            shown = f'ServiceAccount "{name}/{home}"'
        yield key, Grant(name_of(binding), namespace, role["kind"], role["name"], shown)
