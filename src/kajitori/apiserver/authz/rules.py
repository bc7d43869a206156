"""RBAC's policy rules: whether one covers a request, and whether a set of them covers another rule.

Semantics: the RBAC reference of the Kubernetes documentation ("Referring to resources", "Privilege escalation").
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kajitori.api.meta import Object
from kajitori.apiserver.interfaces import Attributes

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    @staticmethod
    def of(document: Object) -> "Rule":
        return Rule(
            frozenset(document.get("verbs") or ()),
            frozenset(document.get("apiGroups") or ()),
            frozenset(document.get("resources") or ()),
            frozenset(document.get("resourceNames") or ()),
            frozenset(document.get("nonResourceURLs") or ()),
        )

    def allows(self, asked: Attributes) -> bool:
        if ALL not in self.verbs and asked.verb not in self.verbs:
            return False
        if not asked.is_resource:
            return any(path_matches(pattern, asked.path) for pattern in self.paths)
        if ALL not in self.groups and asked.group not in self.groups:
            return False
        if self.names and asked.name not in self.names:
            return False
        return _covers_resource(self.resources, asked.resource, asked.subresource)


def _covers_resource(resources: frozenset[str], resource: str, subresource: str) -> bool:
    if ALL in resources:
        return True
    if not subresource:
        return resource in resources
    return f"{resource}/{subresource}" in resources or f"*/{subresource}" in resources


def path_matches(pattern: str, path: str) -> bool:
    """`*` is everything, `/healthz/*` everything below."""
    if pattern in (path, ALL):
        return True
    return pattern.endswith(ALL) and path.startswith(pattern[:-1].rstrip(ALL))


def rules_of(role: Object) -> tuple[Rule, ...]:
    return tuple(Rule.of(rule) for rule in role.get("rules") or ())


def uncovered(owned: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted`, one verb, group, resource and name each, that nothing in `owned` covers."""
    have = list(owned)
    return [atom for rule in wanted for atom in _atoms(rule) if not any(_covers(h, atom) for h in have)]


def _atoms(rule: Rule) -> Iterator[Rule]:
    for verb in sorted(rule.verbs):
        verbs = frozenset((verb,))
        for path in sorted(rule.paths):
            yield Rule(verbs, paths=frozenset((path,)))
        for group in sorted(rule.groups):
            for resource in sorted(rule.resources):
                for name in sorted(rule.names) or [""]:
                    names = frozenset((name,)) if name else frozenset()
                    yield Rule(verbs, frozenset((group,)), frozenset((resource,)), names)


def _covers(owner: Rule, atom: Rule) -> bool:
    if ALL not in owner.verbs and not atom.verbs <= owner.verbs:
        return False
    if atom.paths:
        (path,) = atom.paths
        return any(path_matches(pattern, path) for pattern in owner.paths)
    if ALL not in owner.groups and not atom.groups <= owner.groups:
        return False
    if owner.names and not (atom.names and atom.names <= owner.names):
        return False
    (wanted,) = atom.resources
    resource, _, subresource = wanted.partition("/")
    return wanted in owner.resources or _covers_resource(owner.resources, resource, subresource)


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Join rules that differ only in their verbs, for messages and reviews; order kept."""
    joined: dict[tuple[frozenset[str], ...], set[str]] = {}
    for rule in rules:
        joined.setdefault((rule.groups, rule.resources, rule.names, rule.paths), set()).update(rule.verbs)
    return [Rule(frozenset(verbs), *key) for key, verbs in joined.items()]


def describe(rule: Rule) -> str:
    """A rule as the message of a refused escalation shows it."""
    shown = (
        ("APIGroups", rule.groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.paths),
        ("ResourceNames", rule.names),
        ("Verbs", rule.verbs),
    )
    parts = [f"{field}:{_go_list(values)}" for field, values in shown if values]
    return "{" + ", ".join(parts) + "}"


def _go_list(values: frozenset[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in sorted(values)) + "]"
