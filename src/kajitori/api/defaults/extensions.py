"""Defaults of what extends or guards the API server: webhooks, policies, custom resources, flow control."""

from kajitori.api.defaults.filling import each, fill, fill_zero, part
from kajitori.api.meta import Object, set_condition

_PORT = 443


def default_validating_webhooks(configuration: Object) -> None:
    for webhook in each(configuration, "webhooks"):
        _default_webhook(webhook)


def default_mutating_webhooks(configuration: Object) -> None:
    for webhook in each(configuration, "webhooks"):
        _default_webhook(webhook)
        fill(webhook, reinvocationPolicy="Never")


def default_admission_policy(policy: Object) -> None:
    spec = part(policy, "spec")
    fill(spec, failurePolicy="Fail")
    _default_match(spec.get("matchConstraints"))


def default_admission_policy_binding(binding: Object) -> None:
    spec = part(binding, "spec")
    _default_match(spec.get("matchResources"))


def default_custom_resource_definition(definition: Object) -> None:
    spec = part(definition, "spec")
    names = part(spec, "names")
    kind = names.get("kind") or ""
    fill_zero(spec, scope="")
    if kind:
        fill_zero(names, singular=kind.lower(), listKind=f"{kind}List")
    fill(spec, conversion={"strategy": "None"})
    conversion = spec["conversion"]
    service = ((conversion.get("webhook") or {}).get("clientConfig") or {}).get("service")
    if service is not None:
        fill(service, port=_PORT)
    status = definition.get("status")
    if isinstance(status, dict) and not status.get("storedVersions"):
        status["storedVersions"] = _storage_versions(spec)


def _storage_versions(spec: Object) -> list[str]:
    return [version.get("name") or "" for version in each(spec, "versions") if version.get("storage")]


def prepare_custom_resource_definition(definition: Object) -> None:
    """A new definition accepts nothing yet; its controller fills the conditions and the accepted names."""
    stored = _storage_versions(definition["spec"])
    definition["status"] = {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored,
    }


def prepare_custom_resource_definition_update(new: Object, old: Object) -> None:
    """Keep the status, but remember every version that objects may be stored in."""
    status = dict(old.get("status") or {})
    stored = list(status.get("storedVersions") or ())
    for version in each(new["spec"], "versions"):
        if version.get("storage") and version.get("name") not in stored:
            stored.append(version["name"])
    new["status"] = {**status, "storedVersions": stored}


def default_api_service(service: Object) -> None:
    reference = part(service, "spec").get("service")
    if reference is not None:
        fill(reference, port=_PORT)


def default_flow_schema(schema: Object) -> None:
    fill_zero(part(schema, "spec"), matchingPrecedence=1000)


def default_priority_level(level: Object) -> None:
    spec = part(level, "spec")
    if (exempt := spec.get("exempt")) is not None:
        fill(exempt, nominalConcurrencyShares=0, lendablePercent=0)
    if (limited := spec.get("limited")) is not None:
        fill(limited, nominalConcurrencyShares=30, lendablePercent=0)
        queuing = part(limited, "limitResponse").get("queuing")
        if queuing is not None:
            fill_zero(queuing, queues=64, handSize=8, queueLengthLimit=50)


def _default_webhook(webhook: Object) -> None:
    fill(webhook, failurePolicy="Fail", timeoutSeconds=10)
    _default_match(webhook)
    service = part(webhook, "clientConfig").get("service")
    if service is not None:
        fill(service, port=_PORT)
    for rule in each(webhook, "rules"):
        fill(rule, scope="*")


def _default_match(match: Object | None) -> None:
    if match is None:
        return
    fill(match, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
    for field in ("resourceRules", "excludeResourceRules"):
        for rule in each(match, field):
            fill(rule, scope="*")


CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
"""Holds a definition until its objects have gone."""

_PENDING = {
    "type": "Terminating",
    "status": "True",
    "reason": "InstanceDeletionPending",
    "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
}


def begin_definition_deletion(definition: Object, now: str) -> None:
    """Whatever the policy says, a definition waits for its objects."""
    metadata, status = definition["metadata"], definition.get("status") or {}
    metadata["finalizers"] = list(dict.fromkeys([*(metadata.get("finalizers") or ()), CLEANUP_FINALIZER]))
    conditions = [{**condition} for condition in status.get("conditions") or ()]
    set_condition(conditions, _PENDING, now)
    definition["status"] = {**status, "conditions": conditions}
