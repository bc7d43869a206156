"""The admission policies that are bound, with their bindings, ready to be matched against a request.

What a policy says is compiled when it first matches, and again when it has changed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson

from kajitori.api.meta import Object, name_of
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.matching import Criteria
from kajitori.apiserver.admission.plugin import kind_of
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.interfaces import AdmissionRequest

T = TypeVar("T")

_GROUP = "admissionregistration.k8s.io"
_LARGE_BYTES = 16 * 1024
"""Of a specification: what is smaller takes less than a twentieth of a second to be compiled."""
_OUTSIDE = {
    (_GROUP, "validatingadmissionpolicies"),
    (_GROUP, "validatingadmissionpolicybindings"),
    (_GROUP, "mutatingadmissionpolicies"),
    (_GROUP, "mutatingadmissionpolicybindings"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
}
"""What no policy has a say in: policies themselves, and what the cluster breaks without."""


def is_outside(request: AdmissionRequest) -> bool:
    return kind_of(request) in _OUTSIDE


@dataclass(frozen=True, slots=True)
class Binding:
    """`criteria` narrow the policy's own."""

    name: str
    spec: Object
    criteria: Criteria | None


class Policy(Generic[T]):
    """`compiled` is what `compile` made of the specification."""

    def __init__(self, document: Object, criteria: Criteria, compile: Callable[[Object], T]) -> None:
        self.name = name_of(document)
        self.spec: Object = document.get("spec") or {}
        self.criteria = criteria
        self.bindings: list[Binding] = []
        self._compile = compile
        self._compiled: T | None = None

    @property
    def may_fail(self) -> bool:
        return self.spec.get("failurePolicy") == "Ignore"

    @property
    def param_kind(self) -> Object | None:
        return self.spec.get("paramKind")

    @property
    def compiled(self) -> T:
        if self._compiled is None:
            self._compiled = self._compile(self.spec)
        return self._compiled

    async def ready(self) -> T:
        """The same; a large one is compiled in another thread."""
        if self._compiled is None and len(orjson.dumps(self.spec)) > _LARGE_BYTES:
            await asyncio.to_thread(lambda: self.compiled)
        return self.compiled


class PolicySource(Generic[T]):
    """Follows the stored policies and bindings of one sort."""

    def __init__(
        self, around: Surroundings, policies: Resource, bindings: Resource, compile: Callable[[Object], T]
    ) -> None:
        self._equivalents = around.versions.others
        self._compile = compile
        self._policies: dict[str, Policy[T]] = {}
        self._bindings: dict[str, Binding] = {}
        self._bound: tuple[Policy[T], ...] | None = ()
        self._stops = [
            around.objects.subscribe(policies, self._policy_changed),
            around.objects.subscribe(bindings, self._binding_changed),
        ]

    def stop(self) -> None:
        for stop in self._stops:
            stop()

    @property
    def bound(self) -> tuple[Policy[T], ...]:
        """The policies that have a binding, by name; each with its bindings by name."""
        if self._bound is None:
            self._bound = self._put_together()
        return self._bound

    def _put_together(self) -> tuple[Policy[T], ...]:
        for policy in self._policies.values():
            policy.bindings = []
        for _, binding in sorted(self._bindings.items()):
            bound = self._policies.get(binding.spec.get("policyName", ""))
            if bound is not None:
                bound.bindings.append(binding)
        return tuple(policy for _, policy in sorted(self._policies.items()) if policy.bindings)

    def _policy_changed(self, event: str, document: Object) -> None:
        self._bound = None
        if event == "DELETED":
            self._policies.pop(name_of(document), None)
            return
        before = self._policies.get(name_of(document))
        if before is not None and before.spec == document.get("spec"):
            return  # its status or metadata: what is compiled stays good
        constraints = (document.get("spec") or {}).get("matchConstraints") or {}
        criteria = Criteria(constraints, "resourceRules", self._equivalents)
        self._policies[name_of(document)] = Policy(document, criteria, self._compile)

    def _binding_changed(self, event: str, document: Object) -> None:
        self._bound = None
        if event == "DELETED":
            self._bindings.pop(name_of(document), None)
            return
        spec = document.get("spec") or {}
        match = spec.get("matchResources")
        criteria = Criteria(match, "resourceRules", self._equivalents) if match is not None else None
        self._bindings[name_of(document)] = Binding(name_of(document), spec, criteria)
