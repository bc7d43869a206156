"""What a controller or a node may say in a status."""

import re
from collections.abc import Callable, Sequence

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import Errors, each, must, unsupported
from kajitori.api.validation.formats import ip_errors, is_ip, subdomain_errors

Rule = Callable[[Object, Object], list[FieldError]]

_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
_BAD_REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name', or 'MY_NAME', or "
    "'MyName', or 'ReasonA,ReasonB', or 'ReasonA:ReasonB', regex used for validation is "
    "'[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
)
_REASON_LENGTH_MAX, _MESSAGE_LENGTH_MAX = 1024, 32 * 1024

_NOT_NEGATIVE = "must be greater than or equal to 0"
_POD_CONDITIONS = ("PodScheduled", "Ready", "Initialized")


def counting(fields: Sequence[str], at_most: Sequence[tuple[str, str, str]] = (), *, collisions: bool = False) -> Rule:
    """Counts are not negative, and some are not above others: (field, limit, the limit's name in the refusal).
    `collisions`: `collisionCount` only grows."""

    def rule(new: Object, old: Object) -> list[FieldError]:
        status, before = new.get("status") or {}, old.get("status") or {}
        errors = [
            invalid(f"status.{field}", count, _NOT_NEGATIVE)
            for field in fields
            if (count := status.get(field) or 0) < 0
        ]
        for field, limit, named in at_most:
            if (count := status.get(field) or 0) > (status.get(limit) or 0):
                errors.append(invalid(f"status.{field}", count, f"cannot be greater than {named}"))
        if collisions and (status.get("collisionCount") or 0) < (before.get("collisionCount") or 0):
            errors.append(invalid("status.collisionCount", status.get("collisionCount") or 0, "cannot be decremented"))
        return errors

    return rule


def _within(*fields: str, ready: str = "readyReplicas") -> list[tuple[str, str, str]]:
    rules = [(field, "replicas", "status.replicas") for field in fields]
    return [*rules, ("availableReplicas", "readyReplicas", ready)]


validate_deployment_status = counting(
    (
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ),
    _within("updatedReplicas", "readyReplicas", "availableReplicas"),
    collisions=True,
)
validate_replica_set_status = counting(
    (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ),
    _within("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
)
validate_replication_controller_status = counting(
    ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"),
    _within("fullyLabeledReplicas", "readyReplicas", "availableReplicas"),
)
validate_stateful_set_status = counting(
    (
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ),
    _within("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", ready="status.readyReplicas"),
    collisions=True,
)
validate_daemon_set_status = counting(
    (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ),
    collisions=True,
)
validate_autoscaler_status = counting(("currentReplicas", "desiredReplicas"))


def conditions(status: Object) -> Errors:
    """The conditions of a kind that keeps them as metav1.Condition."""
    seen: set[str] = set()
    for condition, at in each(status, "conditions", "status"):
        kind, reason, state = (condition.get(field) or "" for field in ("type", "reason", "status"))
        if kind in seen:
            yield duplicate(f"{at}.type", kind)
        seen.add(kind)
        yield from must(f"{at}.type", kind, label_key_errors(kind))
        if state not in ("True", "False", "Unknown"):
            yield unsupported(f"{at}.status", state, ("False", "True", "Unknown"))
        if (condition.get("observedGeneration") or 0) < 0:
            detail = "must be greater than or equal to zero"
            yield invalid(f"{at}.observedGeneration", condition["observedGeneration"], detail)
        if not condition.get("lastTransitionTime"):
            yield required(f"{at}.lastTransitionTime")
        if not reason:
            yield required(f"{at}.reason")
        elif not _REASON.fullmatch(reason):
            yield invalid(f"{at}.reason", reason, _BAD_REASON)
        if len(reason) > _REASON_LENGTH_MAX:
            yield too_long(f"{at}.reason", "", _REASON_LENGTH_MAX)
        if len(condition.get("message") or "") > _MESSAGE_LENGTH_MAX:
            yield too_long(f"{at}.message", "", _MESSAGE_LENGTH_MAX)


def validate_policy_status(new: Object, old: Object) -> list[FieldError]:
    """Of a validating admission policy: its warnings tell of an expression, then conditions."""
    return list(_policy_status(new.get("status") or {}))


def _policy_status(status: Object) -> Errors:
    checking = status.get("typeChecking") or {}
    for warning, at in each(checking, "expressionWarnings", "status.typeChecking"):
        for field in ("warning", "fieldRef"):
            if not warning.get(field):
                yield required(f"{at}.{field}")
    yield from conditions(status)


def validate_budget_status(new: Object, old: Object) -> list[FieldError]:
    return [*conditions(new.get("status") or {}), *_budget_counts(new, old)]


_budget_counts = counting(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"))


def nothing(new: Object, old: Object) -> list[FieldError]:
    """A status that upstream takes as it comes."""
    return []


def validate_pod_status(new: Object, old: Object) -> list[FieldError]:
    return list(_pod_status(new, new.get("status") or {}, old, old.get("status") or {}))


def _pod_status(pod: Object, status: Object, old: Object, before: Object) -> Errors:
    for condition, at in each(status, "conditions", "status"):
        if (condition.get("observedGeneration") or 0) < 0:
            detail = "must be a non-negative integer"
            yield invalid(f"{at}.observedGeneration", condition["observedGeneration"], detail)
        kind = condition.get("type") or ""
        if kind not in _POD_CONDITIONS:
            yield from must(f"{at}.Type", kind, label_key_errors(kind))
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != before.get("nominatedNodeName"):
        yield from must("status.nominatedNodeName", nominated, subdomain_errors(nominated))
        if old["spec"].get("nodeName"):
            yield forbidden("status.nominatedNodeName", "may not be set on pods that are already bound to a node")
    if (status.get("observedGeneration") or 0) < 0:
        yield invalid("status.observedGeneration", status["observedGeneration"], "must be a non-negative integer")
    if status.get("qosClass") not in (None, "", before.get("qosClass")):
        yield invalid("status.qosClass", status["qosClass"], "field is immutable")
    for field in ("containerStatuses", "initContainerStatuses"):
        yield from _resurrected(field, status, before, old["spec"])
    yield from _claim_statuses(status, pod["spec"])
    yield from _addresses("status.podIPs", status.get("podIPs") or [], before.get("podIPs") or [])
    hosts = status.get("hostIPs") or []
    if hosts and (status.get("hostIP") or "") != (hosts[0].get("ip") or ""):
        yield invalid("status.hostIPs[0].ip", hosts[0].get("ip") or "", "must be equal to `hostIP`")
    yield from _addresses("status.hostIPs", hosts, before.get("hostIPs") or [])


def _resurrected(field: str, status: Object, before: Object, spec: Object) -> Errors:
    """A container that ended for good does not run again."""
    now = {each.get("name"): each for each in status.get(field) or ()}
    containers = {c.get("name"): c for c in spec.get(field.removesuffix("Statuses") + "s") or ()}
    for index, was in enumerate(before.get(field) or ()):
        ended = (was.get("state") or {}).get("terminated")
        again = now.get(was.get("name"))
        if ended is None or again is None or (again.get("state") or {}).get("terminated") is not None:
            continue
        container = containers.get(was.get("name"))
        if container is None or not _restarts(container, spec, ended.get("exitCode") or 0):
            yield forbidden(f"status.{field}[{index}].state", "may not be transitioned to non-terminated state")


def _restarts(container: Object, spec: Object, exit_code: int) -> bool:
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        inside = exit_code in (codes.get("values") or ())
        if inside == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or spec.get("restartPolicy")
    return bool(policy == "Always" or (policy == "OnFailure" and exit_code != 0))


def _claim_statuses(status: Object, spec: Object) -> Errors:
    known = {claim.get("name") for claim in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for claim, at in each(status, "resourceClaimStatuses", "status"):
        name = claim.get("name") or ""
        if name not in known:
            yield invalid(f"{at}.name", name, "must match the name of an entry in `spec.resourceClaims`")
        if name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        if (given := claim.get("resourceClaimName")) is not None:
            yield from must(f"{at}.resourceClaimName", given, subdomain_errors(given))


def _addresses(path: str, addresses: list[Object], before: list[Object]) -> Errors:
    known = {each.get("ip") for each in before}
    found = [each.get("ip") or "" for each in addresses]
    for index, address in enumerate(found):
        if address not in known:
            yield from legacy_ip(f"{path}[{index}]", address)
    families = [":" in address for address in found]
    if len(set(families)) != len(families):
        shown = [{"IP": address} for address in found]
        yield invalid(path, shown, "may specify no more than one IP for each IP family")


def legacy_ip(path: str, address: str) -> Errors:
    yield from must(path, address, ip_errors(address))


def validate_service_status(new: Object, old: Object) -> list[FieldError]:
    if new["spec"].get("type") != "LoadBalancer" and _balancers(new):
        detail = "may only be used when `spec.type` is 'LoadBalancer'"
        return [forbidden("status.loadBalancer.ingress", detail)]
    return list(_points(new, old, modes=True))


def validate_ingress_status(new: Object, old: Object) -> list[FieldError]:
    return list(_points(new, old, modes=False))


def _balancers(obj: Object) -> list[Object]:
    return ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _points(new: Object, old: Object, *, modes: bool) -> Errors:
    """Where a load balancer is reached. Addresses that were there before are not judged again."""
    known = {point.get("ip") for point in _balancers(old)}
    for index, point in enumerate(_balancers(new)):
        at, address, mode = f"status.loadBalancer.ingress[{index}]", point.get("ip"), point.get("ipMode")
        if address and address not in known:
            yield from legacy_ip(f"{at}.ip", address)
        if modes and mode is None and address:
            yield required(f"{at}.ipMode", "must be specified when `ip` is set")
        elif modes and mode is not None and not address:
            yield forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set")
        elif modes and mode is not None and mode not in ("Proxy", "VIP"):
            yield unsupported(f"{at}.ipMode", mode, ("Proxy", "VIP"))
        if host := point.get("hostname"):
            yield from must(f"{at}.hostname", host, subdomain_errors(host))
            if is_ip(host):
                yield invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address")


def validate_namespace_status(new: Object, old: Object) -> list[FieldError]:
    phase, gone = (new.get("status") or {}).get("phase") or "", bool(new["metadata"].get("deletionTimestamp"))
    if not gone and phase != "Active":
        return [invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
    if gone and phase != "Terminating":
        return [invalid("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")]
    return []


def validate_api_service_status(new: Object, old: Object) -> list[FieldError]:
    return [
        unsupported(f"{at}.status", condition.get("status") or "", ("True", "False", "Unknown"))
        for condition, at in each(new.get("status") or {}, "conditions", "status")
        if condition.get("status") not in ("True", "False", "Unknown")
    ]


def validate_flow_status(new: Object, old: Object) -> list[FieldError]:
    return list(_flow_status(new.get("status") or {}))


def _flow_status(status: Object) -> Errors:
    seen: set[str] = set()
    for condition, at in each(status, "conditions", "status"):
        kind = condition.get("type") or ""
        if kind in seen:
            yield duplicate(f"{at}.type", kind)
        seen.add(kind)
        if not kind:
            yield required(f"{at}.type")


def validate_resource_claim_status(new: Object, old: Object) -> list[FieldError]:
    return list(_claim_status(new, new.get("status") or {}, old.get("status") or {}))


def _claim_status(claim: Object, status: Object, before: Object) -> Errors:
    reserved = status.get("reservedFor") or []
    for index, consumer in enumerate(reserved):
        for field in ("resource", "name", "uid"):
            if not consumer.get(field):
                yield required(f"status.reservedFor[{index}].{field}")
    seen: list[str] = []
    for index, consumer in enumerate(reserved):
        if consumer.get("uid") in seen:
            yield duplicate(f"status.reservedFor[{index}]", consumer.get("uid") or "")
        seen.append(consumer.get("uid") or "")
    if not reserved:
        return
    if status.get("allocation") is None:
        yield forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif claim["metadata"].get("deletionTimestamp"):
        were = before.get("reservedFor") or []
        if any(consumer not in were for consumer in reserved):
            detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            yield forbidden("status.reservedFor", detail)
