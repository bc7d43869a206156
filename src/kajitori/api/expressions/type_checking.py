"""The expressions of a ValidatingAdmissionPolicy checked against the schemas of the kinds that its rules name.

The findings are warnings in the policy's status: they change nothing of what it does. Kinds named by a wildcard are not
looked at, and no more than ten for a rule.
"""

from collections.abc import Iterator
from itertools import product

from kajitori.api.cel.errors import CompileError
from kajitori.api.cel.program import compile
from kajitori.api.cel.types import Declared
from kajitori.api.expressions.compiled import Composition
from kajitori.api.expressions.schema_types import type_of_kind
from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource

_KINDS_MAX = 10


def expression_warnings(policy: Object, registry: Registry) -> list[Object]:
    """ExpressionWarnings as the status has them."""
    spec = policy.get("spec") or {}
    checker = _Checker(spec, registry)
    found = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            source = validation.get(field)
            if source and (warning := checker.warning(source)):
                found.append({"fieldRef": f"spec.validations[{index}].{field}", "warning": warning})
    return found


class _Checker:
    def __init__(self, spec: Object, registry: Registry) -> None:
        self._variables = spec.get("variables") or ()
        self._params = _type_of_params(spec.get("paramKind"), registry)
        self._kinds = [(_shown(kind), type_of_kind(kind)) for kind in _kinds(spec, registry)]

    def warning(self, source: str) -> str:
        """What is wrong for each of the kinds; empty when nothing is."""
        return "\n".join(
            f"{shown}: {mistake}\n" for shown, subject in self._kinds if (mistake := self._mistake(source, subject))
        )

    def _mistake(self, source: str, subject: Declared) -> str:
        composition = Composition(params=self._params, subject=subject).declare_all(self._variables)
        try:
            compile(source, composition.environment())
        except CompileError as error:
            return str(error)
        return ""


def _type_of_params(kind: Object | None, registry: Registry) -> Declared | bool:
    """Of any type when the kind is not known."""
    if kind is None:
        return False
    resource = registry.by_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
    return type_of_kind(resource) if resource is not None else True


def _kinds(spec: Object, registry: Registry) -> list[Resource]:
    found: dict[str, Resource] = {}
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        for count, kind in enumerate(_named(rule, registry), 1):
            found[_shown(kind)] = kind
            if count == _KINDS_MAX:
                return _sorted(found)
    return _sorted(found)


def _sorted(found: dict[str, Resource]) -> list[Resource]:
    return sorted(found.values(), key=lambda kind: (kind.group, kind.version, kind.kind))


def _named(rule: Object, registry: Registry) -> Iterator[Resource]:
    groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
    if any("*" in name for name in (*groups, *versions)):
        return
    plurals = [name for name in rule.get("resources") or () if "*" not in name and "/" not in name]
    for group, version, plural in product(sorted(groups), sorted(versions), sorted(plurals)):
        kind = registry.by_path(group, version, plural)
        if kind is not None:
            yield kind


def _shown(kind: Resource) -> str:
    return f"{kind.group}/{kind.version}, Kind={kind.kind}"
