"""ConfigMaps, secrets, limits, quotas, leases, nodes and namespaces."""

import base64

import orjson

from kajitori.api.field_errors import FieldError, InOrder, Verbatim, duplicate, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.quantity import compare, parse
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.checks import Errors, each, must, not_negative, positive, same_as_before, unsupported
from kajitori.api.validation.formats import cidr_errors, config_key_errors
from kajitori.api.validation.resources import (
    container_resource_name,
    is_overcommitted,
    quota_resource_name,
    resource_amount,
    resource_name,
)
from kajitori.kit.syntax_errors import json_error

SIZE_BYTES_MAX = 1024 * 1024

_IMMUTABLE = "field is immutable when `immutable` is set"


def _size(encoded: str) -> int:
    return len(encoded) * 3 // 4 - encoded[-2:].count("=")


def validate_config_map(config_map: Object) -> list[FieldError]:
    return list(_config_map(config_map.get("data") or {}, config_map.get("binaryData") or {}))


def _config_map(data: dict[str, str], binary: dict[str, str]) -> Errors:
    for key in data:
        yield from must(f"data[{key}]", key, config_key_errors(key))
        if key in binary:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        yield from must(f"binaryData[{key}]", key, config_key_errors(key))
    size = sum(len(text.encode()) for text in data.values()) + sum(map(_size, binary.values()))
    if size > SIZE_BYTES_MAX:
        yield too_long("[]", "", SIZE_BYTES_MAX)  # how Go prints the path of no field


def validate_config_map_update(new: Object, old: Object) -> list[FieldError]:
    return list(_frozen(new, old, ("data", "binaryData")))


def _frozen(new: Object, old: Object, fields: tuple[str, ...]) -> Errors:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield forbidden("immutable", _IMMUTABLE)
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            yield forbidden(field, _IMMUTABLE)


def validate_secret(secret: Object) -> list[FieldError]:
    return list(_secret(secret, secret.get("data") or {}))


# type -> keys that must all be there
_SECRET_KEYS = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_DOCKER_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"


def _secret(secret: Object, data: dict[str, str]) -> Errors:
    for key in data:
        yield from must(f"data[{key}]", key, config_key_errors(key))
    if sum(map(_size, data.values())) > SIZE_BYTES_MAX:
        yield too_long("data", "", SIZE_BYTES_MAX)
    kind = secret.get("type") or ""
    if kind == "kubernetes.io/service-account-token":
        if not (secret["metadata"].get("annotations") or {}).get(_ACCOUNT_ANNOTATION):
            yield required(f"metadata.annotations[{_ACCOUNT_ANNOTATION}]")
    elif kind in _DOCKER_KEYS:
        yield from _docker_configuration(_DOCKER_KEYS[kind], data)
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            yield required("data[username]")
            yield required("data[password]")
    else:
        for key in _SECRET_KEYS.get(kind, ()):
            if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key]):
                yield required(f"data[{key}]")


def _docker_configuration(key: str, data: dict[str, str]) -> Errors:
    if key not in data:
        yield required(f"data[{key}]")
        return
    text = base64.b64decode(data[key])
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        yield invalid(f"data[{key}]", "<secret contents redacted>", json_error(text) or str(error))


def validate_secret_update(new: Object, old: Object) -> list[FieldError]:
    errors = list(same_as_before("type", new.get("type"), old.get("type")))
    return errors + list(_frozen(new, old, ("data",)))


STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def validate_namespace(namespace: Object) -> list[FieldError]:
    """Its finalizers: those of its content, beside those of the object itself."""
    errors: list[FieldError] = []
    for name in (namespace.get("spec") or {}).get("finalizers") or ():
        errors += must("spec.finalizers", name, label_key_errors(name))
        if "/" not in name and name not in STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid("spec.finalizers", name, detail))
    return errors


def validate_limit_range(limit_range: Object) -> list[FieldError]:
    return list(_limit_range(limit_range.get("spec") or {}))


_LIMIT_TYPES = ("Container", "PersistentVolumeClaim", "Pod")
_LIMIT_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


def _limit_range(spec: Object) -> Errors:
    kinds: set[str] = set()
    for item, at in each(spec, "limits", "spec"):
        kind = item.get("type") or ""
        problems = label_key_errors(kind)
        yield from must(f"{at}.type", kind, problems)
        if not problems and "/" not in kind and kind not in _LIMIT_TYPES:
            yield invalid(f"{at}.type", kind, "must be a standard limit type or fully qualified")
        if kind in kinds:
            yield duplicate(f"{at}.type", kind)
        kinds.add(kind)
        yield from _limit_names(at, item, kind)
        if kind == "PersistentVolumeClaim" and not any(
            "storage" in (item.get(field) or {}) for field in ("min", "max")
        ):
            yield required(
                f"{at}.limits", "either minimum or maximum storage value is required, but neither was provided"
            )
        yield from _limit_order(at, item)


def _limit_names(path: str, item: Object, kind: str) -> Errors:
    for field in _LIMIT_FIELDS:
        amounts = item.get(field) or {}
        if kind == "Pod" and field in ("default", "defaultRequest"):
            if amounts:
                yield forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
            continue
        for name in amounts:
            at = f"{path}.{field}[{name}]"
            yield from container_resource_name(at, name) if kind in ("Container", "Pod") else resource_name(at, name)


def _limit_order(path: str, item: Object) -> Errors:
    names = sorted({name for field in _LIMIT_FIELDS for name in item.get(field) or ()})
    for name in names:
        low, high = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
        limit, request = (item.get("default") or {}).get(name), (item.get("defaultRequest") or {}).get(name)
        for field, shown, smaller, larger, detail in (
            ("min", low, low, high, "min value {} is greater than max value {}"),
            ("defaultRequest", request, low, request, "min value {} is greater than default request value {}"),
            ("defaultRequest", request, request, high, "default request value {} is greater than max value {}"),
            (
                "defaultRequest",
                request,
                request,
                limit,
                "default request value {} is greater than default limit value {}",
            ),
            ("default", low, low, limit, "min value {} is greater than default value {}"),
            ("default", high, limit, high, "default value {} is greater than max value {}"),
        ):
            if smaller is not None and larger is not None and compare(smaller, larger) > 0:
                yield invalid(f"{path}.{field}[{name}]", shown, detail.format(smaller, larger))
        ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
        if ratio is not None and compare(ratio, "1") < 0:
            yield invalid(f"{path}.maxLimitRequestRatio[{name}]", Verbatim(ratio), f"ratio {ratio} is less than 1")
        if ratio is not None and low is not None and high is not None and parse(low).nanos:
            most = parse(high).nanos / parse(low).nanos
            if parse(ratio).nanos / 10**9 > most:
                detail = f"ratio {ratio} is greater than max/min = {most:f}"
                yield invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, detail)
        if not is_overcommitted(name) and limit is not None and request is not None and compare(limit, request):
            detail = f"default value {limit} must equal to defaultRequest value {request} in {name}"
            yield invalid(f"{path}.defaultRequest[{name}]", request, detail)


_QUOTA_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)
_COMPUTE = frozenset(f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory")) | {
    "pods"
}
_COUNTED_BY_SCOPE: dict[str, frozenset[str]] = {
    "BestEffort": frozenset({"pods"}),
    **dict.fromkeys(
        ("CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating"), _COMPUTE
    ),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""Which resources a quota that is limited to a scope may count."""
_COUNTED_FOR_SCOPES = _COMPUTE | {
    "ephemeral-storage",
    "requests.ephemeral-storage",
    "limits.ephemeral-storage",
    "persistentvolumeclaims",
    "requests.storage",
    "resourcequotas",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "replicationcontrollers",
    "secrets",
    "configmaps",
}
_OPPOSED = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


_SCOPES_WITHOUT_VALUES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_ONLY_EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def validate_resource_quota(quota: Object) -> list[FieldError]:
    return list(_resource_quota(quota.get("spec") or {}))


def _resource_quota(spec: Object) -> Errors:
    yield from _amounts("spec.hard", {"spec": spec})
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in _QUOTA_SCOPES:
            yield invalid("spec.scopes", scopes, "unsupported scope")
            continue
        for name in sorted(spec.get("hard") or ()):
            if name in _COUNTED_FOR_SCOPES and name not in _COUNTED_BY_SCOPE.get(scope, ()):
                yield invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    for pair in _OPPOSED:
        if pair <= set(scopes):
            yield invalid("spec.scopes", scopes, "conflicting scopes")
    expressions = (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    at = "spec.scopeSelector.matchExpressions"  # upstream does not say which
    for expression in expressions:
        operator, values = expression.get("operator") or "", expression.get("values") or []
        if expression.get("scopeName") not in _QUOTA_SCOPES:
            yield invalid(f"{at}.scopeName", expression.get("scopeName") or "", "unsupported scope")
        if expression.get("scopeName") in _SCOPES_WITHOUT_VALUES and operator != "Exists":
            yield invalid(f"{at}.operator", operator, _ONLY_EXISTS)
        if operator in ("In", "NotIn"):
            if not values:
                detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                yield required(f"{at}.values", detail)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                yield invalid(f"{at}.values", values, detail)
        else:
            yield invalid(f"{at}.operator", operator, "not a valid selector operator")


def validate_resource_quota_update(new: Object, old: Object) -> list[FieldError]:
    def scopes(quota: Object) -> list[str]:
        return sorted((quota.get("spec") or {}).get("scopes") or ())

    if scopes(new) != scopes(old):
        return [invalid("spec.scopes", new["spec"].get("scopes"), "field is immutable")]
    return []


def validate_resource_quota_status(new: Object, old: Object) -> list[FieldError]:
    return list(_amounts("status.hard", new)) + list(_amounts("status.used", new))


def _amounts(path: str, quota: Object) -> Errors:
    part, field = path.split(".")
    for name, quantity in ((quota.get(part) or {}).get(field) or {}).items():
        yield from quota_resource_name(f"{path}[{name}]", name)
        yield from resource_amount(f"{path}[{name}]", name, quantity)


def validate_lease(lease: Object) -> list[FieldError]:
    spec = lease.get("spec") or {}
    errors = list(positive("spec.leaseDurationSeconds", spec.get("leaseDurationSeconds"), "must be greater than 0"))
    return errors + list(not_negative("spec.leaseTransitions", spec.get("leaseTransitions")))


def validate_taints(path: str, taints: list[Object]) -> Errors:
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints):
        at = f"{path}[{index}]"
        key, effect, value = taint.get("key") or "", taint.get("effect") or "", taint.get("value") or ""
        yield from must(f"{at}.key", key, label_key_errors(key))
        problems = label_value_errors(value)
        if problems:
            yield invalid(f"{at}.value", value, ";".join(problems))
        if not effect:
            yield required(f"{at}.effect")
        elif effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            yield unsupported(f"{at}.effect", effect, ("NoSchedule", "PreferNoSchedule", "NoExecute"))
        if (key, effect) in seen:
            shown = InOrder(Key=key, Value=value, Effect=effect, TimeAdded=taint.get("timeAdded"))
            yield FieldError("FieldValueDuplicate", at, shown, "taints must be unique by key and effect pair")
        seen.add((key, effect))


def validate_node(node: Object) -> list[FieldError]:
    return list(_node(node.get("spec") or {}, node.get("status") or {}))


def _node(spec: Object, status: Object) -> Errors:
    yield from validate_taints("metadata.taints", spec.get("taints") or [])
    for field in ("capacity", "allocatable"):
        for name, quantity in sorted((status.get(field) or {}).items()):
            yield from resource_amount(f"status.{field}.{name}", name, quantity)
    blocks = spec.get("podCIDRs") or []
    for index, block in enumerate(blocks):
        yield from must(f"spec.podCIDRs[{index}]", block, cidr_errors(block))
    families = [":" in block for block in blocks]
    if len(set(families)) != len(families):
        yield invalid("spec.podCIDRs", blocks, "may specify no more than one CIDR for each IP family")


def validate_node_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = []
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        errors.append(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        errors.append(forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'))
    return [*validate_taints("metadata.taints", spec.get("taints") or []), *errors]  # told once, counted twice
