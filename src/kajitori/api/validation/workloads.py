"""Deployments, replica sets, stateful sets, daemon sets, replication controllers."""

from collections.abc import Iterable, Mapping
from typing import Any

from kajitori.api.errors import StatusError
from kajitori.api.field_errors import FieldError, InOrder, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import LabelSelector, from_label_selector, label_key_errors, label_value_errors
from kajitori.api.validation.checks import (
    Errors,
    amount_or_percent,
    annotations,
    at_most_all,
    each,
    is_empty_selector,
    label_selector,
    labels,
    not_negative,
    one_of,
    same_as_before,
    unsupported,
    when_given,
)
from kajitori.api.validation.formats import label_errors, percent_errors
from kajitori.api.validation.pods import pod_template
from kajitori.api.validation.volumes import claim_spec

_MISMATCH = "`selector` does not match template `labels`"


def parsed_selector(selector: Object | None) -> LabelSelector | None:
    """None when it cannot be understood."""
    try:
        parsed = from_label_selector(selector)
    except StatusError:
        return None
    values = (value for requirement in parsed.requirements for value in requirement.values)
    keys = (requirement.key for requirement in parsed.requirements)
    wrong = any(label_value_errors(value) for value in values) or any(label_key_errors(key) for key in keys)
    return None if wrong else parsed


def shown_selector(selector: Object | None) -> Object | None:
    """As the fields of a Go struct are shown."""
    if not selector:
        return selector
    found = InOrder()
    if labels := selector.get("matchLabels"):
        found["matchLabels"] = dict(sorted(labels.items()))
    if requirements := selector.get("matchExpressions"):
        found["matchExpressions"] = [
            {key: r.get(key) or "" for key in ("key", "operator", "values") if key != "values" or r.get(key)}
            for r in requirements
        ]
    return found


def labels_match(path: str, template: Object, selector: LabelSelector) -> Errors:
    labels = (template.get("metadata") or {}).get("labels")
    if not selector.empty and not selector.matches(labels):
        yield invalid(f"{path}.metadata.labels", labels, _MISMATCH)


def runs_forever(path: str, template: Object, kind: str) -> Errors:
    """Pods of these kinds are restarted always and have no deadline."""
    spec = template.get("spec") or {}
    yield from one_of(f"{path}.spec.restartPolicy", spec.get("restartPolicy"), ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {kind} is not Supported"
        yield forbidden(f"{path}.spec.activeDeadlineSeconds", detail)


def _selector(spec: Object, kind: str) -> Errors:
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
        return
    yield from label_selector("spec.selector", selector)
    if is_empty_selector(selector):
        yield invalid("spec.selector", selector, f"empty selector is invalid for {kind}")


def _replicated_template(spec: Object) -> Errors:
    selector, template = parsed_selector(spec.get("selector")), spec.get("template") or {}
    if selector is None:
        yield invalid("spec.selector", shown_selector(spec.get("selector")), "invalid label selector")
        return
    yield from labels_match("spec.template", template, selector)
    yield from pod_template("spec.template", template)
    yield from runs_forever("spec.template", template, "ReplicaSet")


def validate_deployment(deployment: Object) -> list[FieldError]:
    return list(_deployment(deployment.get("spec") or {}))


def _deployment(spec: Object) -> Errors:
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from _selector(spec, "deployment")
    yield from _replicated_template(spec)
    yield from _deployment_strategy("spec.strategy", spec.get("strategy") or {})
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    yield from not_negative("spec.progressDeadlineSeconds", deadline)
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _deployment_strategy(path: str, strategy: Object) -> Errors:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            yield forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        yield from _rolling_update(f"{path}.rollingUpdate", rolling or {})
    else:
        yield _unknown_strategy(path, strategy, ("Recreate", "RollingUpdate"))


def _unknown_strategy(path: str, strategy: Object, supported: tuple[str, ...]) -> FieldError:
    rolling = strategy.get("rollingUpdate")
    if rolling is not None:
        rolling = InOrder(MaxUnavailable=rolling.get("maxUnavailable", 0), MaxSurge=rolling.get("maxSurge", 0))
    return unsupported(path, InOrder(Type=strategy.get("type") or "", RollingUpdate=rolling), supported)


def _rolling_update(path: str, rolling: Object) -> Errors:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    yield from amount_or_percent(f"{path}.maxUnavailable", unavailable)
    yield from amount_or_percent(f"{path}.maxSurge", surge)
    if _is_zero(unavailable) and _is_zero(surge):
        yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_all(f"{path}.maxUnavailable", unavailable)


def _is_zero(amount: int | str) -> bool:
    if isinstance(amount, str) and not percent_errors(amount):
        return int(amount[:-1]) == 0
    try:
        return int(amount) == 0
    except ValueError:  # what is no number counts as none
        return True


def validate_replica_set(replica_set: Object) -> list[FieldError]:
    return list(_replica_set(replica_set.get("spec") or {}))


def _replica_set(spec: Object) -> Errors:
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _selector(spec, "deployment")
    yield from _replicated_template(spec)


def validate_replication_controller(controller: Object) -> list[FieldError]:
    return list(_replication_controller(controller.get("spec") or {}))


def _replication_controller(spec: Object) -> Errors:
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    selector: Mapping[str, str] = spec.get("selector") or {}
    if not selector:
        yield required("spec.selector")
    yield from not_negative("spec.replicas", spec.get("replicas"))
    template = spec.get("template")
    if template is None:
        yield required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        yield invalid("spec.template.metadata.labels", labels or None, _MISMATCH)
    yield from pod_template("spec.template", template)
    yield from runs_forever("spec.template", template, "ReplicationController")


def validate_daemon_set(daemon_set: Object) -> list[FieldError]:
    return list(_daemon_set(daemon_set.get("spec") or {}))


def _daemon_set(spec: Object) -> Errors:
    given, template = spec.get("selector"), spec.get("template") or {}
    yield from label_selector("spec.selector", given)
    selector = parsed_selector(given)
    if selector is not None:
        yield from labels_match("spec.template", template, selector)
    if given is not None and is_empty_selector(given):
        yield invalid("spec.selector", given, "empty selector is invalid for daemonset")
    yield from pod_template("spec.template", template)
    yield from runs_forever("spec.template", template, "DaemonSet")
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from _daemon_set_strategy("spec.updateStrategy", spec.get("updateStrategy") or {})
    yield from not_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))


def _daemon_set_strategy(path: str, strategy: Object) -> Errors:
    kind = strategy.get("type") or ""
    if kind == "RollingUpdate":
        at, rolling = f"{path}.rollingUpdate", strategy.get("rollingUpdate") or {}
        unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
        yield from amount_or_percent(f"{at}.maxUnavailable", unavailable)
        yield from amount_or_percent(f"{at}.maxSurge", surge)
        yield from at_most_all(f"{at}.maxUnavailable", unavailable)
        yield from at_most_all(f"{at}.maxSurge", surge)
        if _is_zero(unavailable) and _is_zero(surge):
            yield required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0")
        elif not _is_zero(unavailable) and not _is_zero(surge):
            yield invalid(f"{at}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif kind != "OnDelete":
        yield _unknown_strategy(path, strategy, ("RollingUpdate", "OnDelete"))


def validate_stateful_set(stateful_set: Object) -> list[FieldError]:
    return list(_stateful_set(stateful_set.get("spec") or {}))


def revalidate_stateful_set(new: Object, old: Object) -> list[FieldError]:
    """Claims and the service's name may not change: what was wrong with them before may stay. So may a pod template
    that was."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = list(_stateful_set(spec, changes=True))
    if errors and any(_stateful_set(before, changes=True)):
        return list(_stateful_set(spec, changes=True, pods=False))
    return errors


def _stateful_set(spec: Object, *, changes: bool = False, pods: bool = True) -> Errors:
    management = spec.get("podManagementPolicy") or ""
    if management not in ("OrderedReady", "Parallel"):
        yield invalid("spec.podManagementPolicy", management, "must be 'OrderedReady' or 'Parallel'")
    yield from _stateful_set_strategy("spec.updateStrategy", spec.get("updateStrategy") or {})
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for field in ("whenDeleted", "whenScaled"):
        path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
        yield from one_of(path, retention.get(field, "Retain"), ("Retain", "Delete"))
    yield from not_negative("spec.replicas", spec.get("replicas"))
    yield from not_negative("spec.minReadySeconds", spec.get("minReadySeconds"))
    yield from not_negative("spec.ordinals.start", (spec.get("ordinals") or {}).get("start"))
    if not changes:
        for claim, path in each(spec, "volumeClaimTemplates", "spec"):
            yield from claim_spec(f"{path}.spec", claim.get("spec") or {})
        yield from when_given("spec.serviceName", spec.get("serviceName"), label_errors)
    yield from _selector(spec, "statefulset")
    selector, template = parsed_selector(spec.get("selector")), spec.get("template") or {}
    if selector is None:
        yield invalid("spec.selector", shown_selector(spec.get("selector")), "")
        return
    yield from labels_match("spec.template", template, selector)
    if pods:
        yield from pod_template("spec.template", _with_claims(template, spec.get("volumeClaimTemplates") or ()))
    metadata = template.get("metadata") or {}  # upstream looks at these twice
    yield from labels("spec.template.labels", metadata.get("labels"))
    yield from annotations("spec.template.annotations", metadata.get("annotations"))
    yield from runs_forever("spec.template", template, "StatefulSet")


def _with_claims(template: Object, claims: Iterable[Object]) -> Object:
    """The template as its pods will be: each claim is a volume, and takes the place of one with its name."""
    names = dict.fromkeys((claim.get("metadata") or {}).get("name") or "" for claim in claims)
    spec = template.get("spec") or {}
    claimed = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    declared = [volume for volume in spec.get("volumes") or () if volume.get("name", "") not in names]
    return {**template, "spec": {**spec, "volumes": claimed + declared}}


def _stateful_set_strategy(path: str, strategy: Object) -> Errors:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "OnDelete":
        if rolling is not None:
            yield invalid(f"{path}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")
    elif kind == "RollingUpdate":
        at = f"{path}.rollingUpdate"
        yield from not_negative(f"{at}.partition", (rolling or {}).get("partition"))
        unavailable = (rolling or {}).get("maxUnavailable")
        yield from amount_or_percent(f"{at}.maxUnavailable", unavailable)
        if unavailable is not None and _is_zero(unavailable):
            yield invalid(f"{at}.maxUnavailable", unavailable, "cannot be 0")
        yield from at_most_all(f"{at}.maxUnavailable", unavailable)
    else:
        shown = rolling and InOrder(Partition=rolling.get("partition"), MaxUnavailable=rolling.get("maxUnavailable"))
        detail = "must be 'RollingUpdate' or 'OnDelete'"
        yield invalid(path, InOrder(Type=kind, RollingUpdate=shown), detail)


_STATEFUL_SET_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def validate_stateful_set_update(new: Object, old: Object) -> list[FieldError]:
    def fixed(spec: Object) -> dict[str, Any]:
        return {key: value for key, value in spec.items() if key not in _STATEFUL_SET_MUTABLE}

    if fixed(new["spec"]) == fixed(old["spec"]):
        return []
    *names, last = (f"'{name}'" for name in _STATEFUL_SET_MUTABLE)
    detail = f"updates to statefulset spec for fields other than {', '.join(names)} and {last} are forbidden"
    return [forbidden("spec", detail)]


def validate_controller_revision(revision: Object) -> list[FieldError]:
    errors = _revision_number(revision)
    data = revision.get("data")
    if data is None:
        errors.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        errors.append(required("data", "data must be a valid JSON object"))
    return errors


def revalidate_controller_revision(new: Object, old: Object) -> list[FieldError]:
    return [*_revision_number(new), *same_as_before("data", new.get("data"), old.get("data"))]


def _revision_number(revision: Object) -> list[FieldError]:
    return list(not_negative("revision", revision.get("revision")))
