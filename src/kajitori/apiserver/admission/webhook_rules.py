"""Which webhooks a request is shown to: rules, scope and selectors of a webhook configuration. Pure.

Source: "Dynamic Admission Control", request matching.
"""

from kajitori.api.meta import Object, labels_of
from kajitori.api.selectors import from_label_selector
from kajitori.apiserver.interfaces import AdmissionRequest

# Their own configuration is never shown to webhooks: a broken one could otherwise not be mended.
_EXEMPT_GROUP = "admissionregistration.k8s.io"
_NAMESPACES = ("", "namespaces")


def concerns(webhook: Object, request: AdmissionRequest, namespace: Object | None) -> bool:
    """`namespace` is the request's Namespace object, None for a cluster-scoped one."""
    if request.resource.group == _EXEMPT_GROUP:
        return False
    if not any(_rule_matches(rule, request, webhook) for rule in webhook.get("rules") or ()):
        return False
    return _namespace_matches(webhook, request, namespace) and _object_matches(webhook, request)


def _rule_matches(rule: Object, request: AdmissionRequest, webhook: Object) -> bool:
    resource = request.resource
    if not _has(rule.get("operations"), str(request.operation)) or not _has(rule.get("apiGroups"), resource.group):
        return False
    exact = webhook.get("matchPolicy") == "Exact"
    if exact and not _has(rule.get("apiVersions"), resource.version):
        return False
    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") is not resource.namespaced:
        return False
    return any(_resource_matches(pattern, request) for pattern in rule.get("resources") or ())


def _has(values: list[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)


def _resource_matches(pattern: str, request: AdmissionRequest) -> bool:
    """`pods`, `pods/status`, `pods/*`, `*/scale`, `*`, `*/*`."""
    wanted, slash, wanted_part = pattern.partition("/")
    if wanted not in ("*", request.resource.plural):
        return False
    if not slash:
        return not request.subresource
    return wanted_part in ("*", request.subresource)


def _namespace_matches(webhook: Object, request: AdmissionRequest, namespace: Object | None) -> bool:
    selector = from_label_selector(webhook.get("namespaceSelector") or {})
    if selector.empty:
        return True
    if (request.resource.group, request.resource.plural) == _NAMESPACES:
        namespace = request.object or request.old
    return True if namespace is None else selector.matches(labels_of(namespace))


def _object_matches(webhook: Object, request: AdmissionRequest) -> bool:
    selector = from_label_selector(webhook.get("objectSelector") or {})
    if selector.empty:
        return True
    return any(selector.matches(labels_of(obj)) for obj in (request.object, request.old) if obj is not None)
