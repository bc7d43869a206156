"""Whether a webhook, a policy or a binding concerns a request: rules, scope and selectors. Pure.

Source: "Dynamic Admission Control" (matching requests) and "Validating Admission Policy" (match criteria).
"""

from collections.abc import Callable, Sequence

from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, labels_of
from kajitori.api.resource import Resource
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.apiserver.interfaces import AdmissionRequest, Operation

# Their own configuration is never shown to what is configured: a broken one could otherwise not be mended.
_CONFIGURATION = "admissionregistration.k8s.io"
_NAMESPACES = ("", "namespaces")

Equivalents = Callable[[Resource, str], Sequence[Resource]]
"""Other versions of a resource that have this subresource too."""


def is_configuration(request: AdmissionRequest) -> bool:
    return request.resource.group == _CONFIGURATION


def is_namespace(request: AdmissionRequest) -> bool:
    return (request.resource.group, request.resource.plural) == _NAMESPACES


def namespace_of_request(request: AdmissionRequest) -> str:
    """A Namespace counts as being in itself."""
    return request.name if is_namespace(request) else request.namespace


class Criteria:
    """The fields that webhooks, policies (`matchConstraints`) and bindings (`matchResources`) share."""

    def __init__(self, fields: Object, rules: str, equivalents: Equivalents) -> None:
        """`rules` is what the list of rules is called there; without any, a binding's criteria match every resource."""
        self._rules = fields.get(rules) or ()
        self._excluded = fields.get("excludeResourceRules") or ()
        self._every = rules == "resourceRules" and not self._rules
        self._exact = fields.get("matchPolicy") != "Equivalent"
        self._namespaces = from_label_selector(fields.get("namespaceSelector") or {})
        self._objects = from_label_selector(fields.get("objectSelector") or {})
        self._equivalents = equivalents

    def version_of(self, request: AdmissionRequest, namespace: Object | None) -> Resource | None:
        """The version of the resource that is asked for by a rule; None when the request is of no concern.

        `namespace` is the Namespace that the request is in. Raises NotFound where its labels matter and it is absent.
        """
        if not _object_matches(self._objects, request):
            return None
        if self._excluded and self._ruled(self._excluded, request) is not None:
            return None
        found = request.resource if self._every else self._ruled(self._rules, request)
        if found is None or not _namespace_matches(self._namespaces, request, namespace):
            return None
        return found

    def _ruled(self, rules: Sequence[Object], request: AdmissionRequest) -> Resource | None:
        for rule in rules:
            if rule_matches(rule, request, request.resource):
                return request.resource
        if self._exact:
            return None
        others = self._equivalents(request.resource, request.subresource)
        for rule in rules if others else ():
            for other in others:
                if rule_matches(rule, request, other):
                    return other
        return None


def rule_matches(rule: Object, request: AdmissionRequest, resource: Resource) -> bool:
    """Whether the rule names this version of the resource, this operation and this name."""
    if not _has(rule.get("apiGroups"), resource.group) or not _has(rule.get("operations"), str(request.operation)):
        return False
    if not _has(rule.get("apiVersions"), resource.version) or not _scope_matches(rule.get("scope") or "*", request):
        return False
    if not any(_resource_matches(pattern, resource.plural, request) for pattern in rule.get("resources") or ()):
        return False
    names = rule.get("resourceNames")
    return not names or request.name in names


def _has(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)


def _scope_matches(scope: str, request: AdmissionRequest) -> bool:
    return scope == "*" or (scope == "Namespaced") is bool(request.namespace and not is_namespace(request))


def _resource_matches(pattern: str, plural: str, request: AdmissionRequest) -> bool:
    """`pods`, `pods/status`, `pods/*`, `*/scale`, `*`, `*/*`."""
    wanted, _, part = pattern.partition("/")
    return wanted in ("*", plural) and (part == "*" or part == request.subresource)


def _namespace_matches(selector: LabelSelector, request: AdmissionRequest, namespace: Object | None) -> bool:
    if selector.empty:
        return True
    if is_namespace(request):
        written = request.operation in (Operation.CREATE, Operation.UPDATE) and not request.subresource
        namespace = request.object if written else namespace or request.old
    elif not request.namespace:
        return True
    if namespace is None:
        raise NotFound.of("", "namespaces", namespace_of_request(request))
    return selector.matches(labels_of(namespace))


def _object_matches(selector: LabelSelector, request: AdmissionRequest) -> bool:
    if selector.empty:
        return True
    return any(
        selector.matches(labels_of(obj))
        for obj in (request.object, request.old)
        if obj is not None and "metadata" in obj
    )
