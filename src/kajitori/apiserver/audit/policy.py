"""Which requests are written down, and how much of them: the first rule that fits decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from kajitori.apiserver.configuration import Section
from kajitori.apiserver.interfaces import Attributes

STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
RECEIVED, STARTED, COMPLETE, PANIC = STAGES


class Level(IntEnum):
    """Each keeps what the one before keeps, and more."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3


NAMES = {
    "None": Level.NONE,
    "Metadata": Level.METADATA,
    "Request": Level.REQUEST,
    "RequestResponse": Level.REQUEST_RESPONSE,
}
SHOWN = {level: name for name, level in NAMES.items()}


@dataclass(frozen=True, slots=True)
class Decision:
    level: Level
    omitted: frozenset[str] = frozenset()
    """Stages that are not written."""
    omit_managed_fields: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """Of a group (`*`: any). `plurals` may be `pods`, `pods/log`, `pods/*`, `*/scale` or `*`; empty: all."""

    group: str
    plurals: tuple[str, ...]
    names: frozenset[str]

    def cover(self, asked: Attributes) -> bool:
        if self.group not in ("*", asked.group):
            return False
        if not self.plurals:
            return True
        if self.names and asked.name not in self.names:
            return False
        full = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        wide = {full, "*", f"{asked.resource}/*"}
        if asked.subresource:
            wide.add(f"*/{asked.subresource}")
        return not wide.isdisjoint(self.plurals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    decision: Decision
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    resources: tuple[Resources, ...] = ()
    paths: tuple[str, ...] = ()

    def fits(self, asked: Attributes) -> bool:
        if self.users and asked.user.name not in self.users:
            return False
        if self.groups and self.groups.isdisjoint(asked.user.groups):
            return False
        if self.verbs and asked.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return asked.is_resource and self._fits_resource(asked)
        if self.paths:
            return not asked.is_resource and any(_path_fits(path, asked.path) for path in self.paths)
        return True

    def _fits_resource(self, asked: Attributes) -> bool:
        # What has no namespace counts as being in the one named "".
        if self.namespaces and asked.namespace not in self.namespaces:
            return False
        return not self.resources or any(resources.cover(asked) for resources in self.resources)


def _path_fits(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


@dataclass(frozen=True, slots=True)
class Policy:
    rules: Sequence[Rule]
    otherwise: Decision = Decision(Level.NONE)  # frozen

    def decide(self, asked: Attributes) -> Decision:
        for rule in self.rules:
            if rule.fits(asked):
                return rule.decision
        return self.otherwise


def read_policy(path: Path) -> Policy:
    """Raises BadConfiguration."""
    top = Section.load(path, "Policy", "audit.k8s.io", ("v1",))
    top.only("apiVersion", "kind", "metadata", "rules", "omitStages", "omitManagedFields")
    omitted, managed = _stages(top), top.flag("omitManagedFields")
    rules = [_rule(section, omitted, managed) for section in top.sections("rules")]
    if not rules:
        raise top.error("rules", "required: at least one, or nothing is ever written down")
    return Policy(rules)


def _rule(section: Section, omitted: frozenset[str], managed: bool) -> Rule:
    section.only(
        "level",
        "users",
        "userGroups",
        "verbs",
        "resources",
        "namespaces",
        "nonResourceURLs",
        "omitStages",
        "omitManagedFields",
    )
    level = NAMES[section.text("level", required=True, one_of=tuple(NAMES))]
    resources = tuple(_resources(entry) for entry in section.sections("resources"))
    paths, namespaces = section.texts("nonResourceURLs"), section.texts("namespaces")
    if paths and (resources or namespaces):
        raise section.error("nonResourceURLs", "cannot stand beside resources or namespaces; write two rules")
    for path in paths:
        if path != "*" and (not path.startswith("/") or "*" in path[:-1]):
            raise section.error("nonResourceURLs", f"{path!r}: must be *, or begin with / and may end with *")
    return Rule(
        decision=Decision(level, omitted | _stages(section), section.flag("omitManagedFields", managed)),
        users=frozenset(section.texts("users")),
        groups=frozenset(section.texts("userGroups")),
        verbs=frozenset(section.texts("verbs")),
        namespaces=frozenset(namespaces),
        resources=resources,
        paths=paths,
    )


def _resources(section: Section) -> Resources:
    section.only("group", "resources", "resourceNames")
    group, plurals, names = section.text("group"), section.texts("resources"), section.texts("resourceNames")
    if names and not plurals:
        raise section.error("resourceNames", "needs resources too")
    if "/" in group:
        raise section.error("group", f"{group!r}: must be a group without a version")
    return Resources(group, plurals, frozenset(names))


def _stages(section: Section) -> frozenset[str]:
    for stage in (found := section.texts("omitStages")):
        if stage not in STAGES:
            raise section.error("omitStages", f"{stage!r}: must be one of {', '.join(STAGES)}")
    return frozenset(found)
