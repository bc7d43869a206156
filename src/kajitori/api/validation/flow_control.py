"""Priority and fairness (KEP-1040): flow schemas and priority levels."""

import math
from collections.abc import Sequence

from kajitori.api.field_errors import FieldError, InOrder, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.schema.internal_shapes import as_shown
from kajitori.api.validation.checks import Errors, each, must, must_be_given, one_of, unsupported
from kajitori.api.validation.formats import label_errors, subdomain_errors
from kajitori.api.validation.immutability import same

_PRECEDENCE_MAX = 10_000
_QUEUES_MAX = 10_000_000
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"User": "user", "Group": "group", "ServiceAccount": "serviceAccount"}
"""Kinds of subjects, each with the field that names it."""


_HASH_BITS_MAX = 60
"""So many bits of a hash deal the hand of queues."""


def _fixed(level: str, precedence: int, *groups: str, **method: Object) -> Object:
    everything: Object = {
        "subjects": [{"kind": "Group", "group": {"name": group}} for group in groups],
        "resourceRules": [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
        ],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    named = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence}
    return {**named, **method, "rules": [everything]}


_FIXED_SCHEMAS = {
    "exempt": _fixed("exempt", 1, "system:masters"),
    "catch-all": _fixed(
        "catch-all",
        _PRECEDENCE_MAX,
        "system:unauthenticated",
        "system:authenticated",
        distinguisherMethod={"type": "ByUser"},
    ),
}
"""The schemas that every cluster has as they are."""


def validate_flow_schema(schema: Object) -> list[FieldError]:
    name, spec = schema["metadata"].get("name") or "", schema.get("spec") or {}
    errors = list(_flow_schema(name, spec))
    if name in _FIXED_SCHEMAS and not same(spec, _FIXED_SCHEMAS[name]):
        shown = as_shown("flowcontrol.FlowSchemaSpec", spec)
        errors.append(invalid("spec", shown, f"spec of '{name}' must equal the fixed value"))
    return errors


def _flow_schema(schema: str, spec: Object) -> Errors:
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        yield invalid("spec.matchingPrecedence", precedence, "must be a positive value")
    elif precedence > _PRECEDENCE_MAX:
        yield invalid("spec.matchingPrecedence", precedence, f"must not be greater than {_PRECEDENCE_MAX}")
    elif precedence == 1 and schema != "exempt":
        yield invalid("spec.matchingPrecedence", 1, "only the schema named 'exempt' may have matchingPrecedence 1")
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = InOrder(Type=method.get("type") or "")
        yield unsupported("spec.distinguisherMethod.type", shown, ("ByNamespace", "ByUser"))
    name = (spec.get("priorityLevelConfiguration") or {}).get("name") or ""
    if not name:
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        yield from must("spec.priorityLevelConfiguration.name", name, subdomain_errors(name))
    for rule, at in each(spec, "rules", "spec"):
        if not rule.get("subjects"):
            yield required(f"{at}.subjects", "subjects must contain at least one value")
        for subject, subject_at in each(rule, "subjects", at):
            yield from _subject(subject_at, subject)
        if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
            yield required(at, "at least one of resourceRules and nonResourceRules has to be non-empty")
        for resource_rule, rule_at in each(rule, "resourceRules", at):
            yield from _resource_rule(rule_at, resource_rule)
        for path_rule, rule_at in each(rule, "nonResourceRules", at):
            yield from _verbs(rule_at, path_rule)
            yield from _urls(f"{rule_at}.nonResourceURLs", path_rule.get("nonResourceURLs") or [])


def _subject(path: str, subject: Object) -> Errors:
    kind = subject.get("kind") or ""
    if kind not in _SUBJECTS:
        yield from one_of(f"{path}.kind", kind, tuple(sorted(_SUBJECTS)))
        return
    own = _SUBJECTS[kind]
    named = subject.get(own)
    if named is None:
        yield required(f"{path}.{own}", f"{own} is required when subject kind is '{kind}'")
    elif kind == "ServiceAccount":
        yield from _service_account(f"{path}.{own}", named)
    elif not named.get("name"):
        yield required(f"{path}.{own}.name")
    for other, field in _SUBJECTS.items():
        if other != kind and subject.get(field) is not None:
            yield forbidden(f"{path}.{field}", f"{field} is forbidden when subject kind is not '{other}'")


def _service_account(path: str, account: Object) -> Errors:
    name, namespace = account.get("name") or "", account.get("namespace") or ""
    if name != "*":
        yield from must_be_given(f"{path}.name", name, subdomain_errors)
    if namespace:
        yield from must(f"{path}.namespace", namespace, label_errors(namespace))
    else:
        yield required(f"{path}.namespace", "must specify namespace for service account")


def _resource_rule(path: str, rule: Object) -> Errors:
    yield from _verbs(path, rule)
    for field, one, several in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
        ("namespaces", "namespace", "namespaces"),
    ):
        values, at = rule.get(field) or [], f"{path}.{field}"
        if not values and field != "namespaces":
            yield required(at, f"resource rules must supply at least one {one}")
        elif not values and not rule.get("clusterScope"):
            yield required(at, "resource rules that are not cluster scoped must supply at least one namespace")
        elif _not_alone(values):
            yield invalid(at, values, f"if '*' is present, must not specify other {several}")
        elif field == "namespaces" and "*" not in values:
            said = "each member of this list must be '*' or a DNS-1123 label; "
            for index, value in enumerate(values):
                yield from (invalid(f"{at}[{index}]", value, said + problem) for problem in label_errors(value))


def _verbs(path: str, rule: Object) -> Errors:
    verbs = rule.get("verbs") or []
    if not verbs:
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    elif _not_alone(verbs):
        yield invalid(f"{path}.verbs", verbs, "if '*' is present, must not specify other verbs")
    elif "*" not in verbs and not set(verbs) <= set(_VERBS):
        yield unsupported(f"{path}.verbs", verbs, _VERBS)


def _not_alone(values: Sequence[str]) -> bool:
    return "*" in values and len(values) > 1


def _urls(path: str, urls: Sequence[str]) -> Errors:
    if not urls:
        yield required(path, "nonResourceURLs must contain at least one value")
    elif _not_alone(urls):
        yield invalid(path, urls, "if '*' is present, must not specify other non-resource URLs")
    elif "*" not in urls:
        for index, url in enumerate(urls):
            if problem := _url_problem(url):
                yield invalid(f"{path}[{index}]", url, problem)


def _url_problem(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if "*" in url and not (url.endswith("/*") and "*" not in url[:-1]):
        return "wildcard can only do suffix matching"
    return ""


_CATCH_ALL = {
    "type": "Limited",
    "limited": {"nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": {"type": "Reject"}},
}
"""The level that every cluster has as it is."""


def validate_priority_level(level: Object) -> list[FieldError]:
    return list(_priority_level(level["metadata"].get("name") or "", level.get("spec") or {}))


def _priority_level(name: str, spec: Object) -> Errors:
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if (kind == "Exempt") != (name == "exempt"):
        yield invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    if kind == "Exempt":
        yield from _shares("spec.exempt", exempt or {})
        yield from _lent("spec.exempt", exempt or {})
        if limited is not None:
            yield forbidden("spec.limited", "must be nil if the type is not Limited")
    elif kind == "Limited":
        if exempt is not None:
            yield forbidden("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _limited(limited)
    else:
        yield from one_of("spec.type", kind, ("Exempt", "Limited"))
    shown = as_shown("flowcontrol.PriorityLevelConfigurationSpec", spec)
    if name == "exempt" and (kind != "Exempt" or limited is not None):
        detail = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
        yield invalid("spec", shown, detail)
    if name == "catch-all" and not same(spec, _CATCH_ALL):
        yield invalid("spec", shown, "spec of 'catch-all' must equal the fixed value")


def _shares(path: str, level: Object) -> Errors:
    shares = level.get("nominalConcurrencyShares")
    if shares is not None and shares < 0:
        yield invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")


def _lent(path: str, level: Object) -> Errors:
    percent = level.get("lendablePercent")
    if percent is not None and not 0 <= percent <= 100:
        yield invalid(f"{path}.lendablePercent", percent, "must be between 0 and 100, inclusive")


def _limited(limited: Object) -> Errors:
    yield from _shares("spec.limited", limited)
    yield from _limit_response(limited)
    yield from _lent("spec.limited", limited)
    borrowed = limited.get("borrowingLimitPercent")
    if borrowed is not None and borrowed < 0:
        detail = "if specified, must be a non-negative integer"
        yield invalid("spec.limited.borrowingLimitPercent", borrowed, detail)


def _limit_response(limited: Object) -> Errors:
    response = limited.get("limitResponse") or {}
    kind, queuing = response.get("type") or "", response.get("queuing")
    path = "spec.limited.limitResponse"
    if kind == "Reject":
        if queuing is not None:
            yield forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if queuing is None:
            yield required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
            return
        for field in ("queueLengthLimit", "queues", "handSize"):
            if queuing.get(field, 0) <= 0:
                yield invalid(f"{path}.queuing.{field}", queuing.get(field, 0), "must be positive")
        if queuing.get("queues", 0) > _QUEUES_MAX:
            yield invalid(f"{path}.queuing.queues", queuing["queues"], f"must not be greater than {_QUEUES_MAX}")
        queues, hand = queuing.get("queues", 0), queuing.get("handSize", 0)
        if hand > queues:
            yield invalid(f"{path}.queuing.handSize", hand, f"should not be greater than queues ({queues})")
        elif hand > 0 and math.ceil(math.log2(queues) * hand) > _HASH_BITS_MAX:
            bits = f"required entropy bits of deckSize {queues} and handSize {hand}"
            yield invalid(f"{path}.queuing.handSize", hand, f"{bits} should not be greater than {_HASH_BITS_MAX}")
    else:
        yield from one_of(f"{path}.type", kind, ("Queue", "Reject"))
