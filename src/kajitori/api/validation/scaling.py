"""Autoscalers, disruption budgets, priority and runtime classes."""

from kajitori.api.conversions.autoscaling import to_v2
from kajitori.api.field_errors import FieldError, InOrder, duplicate, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.quantity import parse
from kajitori.api.validation.checks import (
    Errors,
    amount_or_percent,
    at_most_all,
    each,
    label_selector,
    labels,
    must,
    must_be_given,
    one_of,
    optional_one_of,
    same_as_before,
)
from kajitori.api.validation.formats import label_errors, path_segment_errors, qualified_name_errors
from kajitori.api.validation.placement import tolerations
from kajitori.api.validation.resources import container_resource_name, resource_amount

_METRICS = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_SOURCES_IN_ORDER = ("Object", "External", "Pods", "Resource", "ContainerResource")
_WINDOW_SECONDS_MAX, _PERIOD_SECONDS_MAX = 3600, 1800
_USER_PRIORITY_MAX = 1_000_000_000
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def validate_autoscaler(autoscaler: Object) -> list[FieldError]:
    return list(_autoscaler(autoscaler.get("spec") or {}))


def revalidate_autoscaler(new: Object, old: Object) -> list[FieldError]:
    """The version of a target that stays the same is not looked at again."""

    def target(autoscaler: Object) -> tuple[str, str]:
        reference = autoscaler["spec"].get("scaleTargetRef") or {}
        return reference.get("kind") or "", reference.get("apiVersion") or ""

    return list(_autoscaler(new["spec"], same_target=target(new) == target(old)))


def validate_autoscaler_v1(autoscaler: Object) -> list[FieldError]:
    """In the words of v2, as which it is kept."""
    return validate_autoscaler(to_v2(autoscaler))


def revalidate_autoscaler_v1(new: Object, old: Object) -> list[FieldError]:
    return revalidate_autoscaler(to_v2(new), to_v2(old))


def _autoscaler(spec: Object, *, same_target: bool = False) -> Errors:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        yield invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most == 0:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    elif most < 0:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to 1")
    if least is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    yield from _target_reference("spec.scaleTargetRef", spec.get("scaleTargetRef") or {}, known=same_target)
    for metric, at in each(spec, "metrics", "spec"):
        yield from _metric(at, metric)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in spec.get("metrics") or ()):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("spec.metrics", detail)
    for direction in ("scaleUp", "scaleDown"):
        rules = (spec.get("behavior") or {}).get(direction)
        if rules is not None:
            yield from _rules(f"spec.behavior.{direction}", rules)


def _target_reference(path: str, reference: Object, *, known: bool) -> Errors:
    yield from must_be_given(f"{path}.kind", reference.get("kind"), path_segment_errors)
    yield from must_be_given(f"{path}.name", reference.get("name"), path_segment_errors)
    version = reference.get("apiVersion") or ""
    if known:
        return
    if version.count("/") > 1:
        yield invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    elif not version.rpartition("/")[0] and reference.get("kind") != "ReplicationController":
        yield invalid(f"{path}.apiVersion", version, "apiVersion must specify API group")


def _metric(path: str, metric: Object) -> Errors:
    """Of several sources the first is looked at, and those that do not belong to the type are refused."""
    kind = metric.get("type") or ""
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in _METRICS:
        yield from one_of(f"{path}.type", kind, tuple(_METRICS))
    given = [of for of in _SOURCES_IN_ORDER if metric.get(_METRICS[of]) is not None]
    if given:
        field = _METRICS[given[0]]
        yield from _metric_source(f"{path}.{field}", given[0], metric[field])
    if kind not in _METRICS:
        yield from one_of(f"{path}.type", kind, tuple(_METRICS))  # upstream says so twice
    elif kind not in given:
        yield required(f"{path}.{_METRICS[kind]}", "must populate information for the given metric source")
    if len(given) != 1:
        for field in sorted(_METRICS[of] for of in given if of != kind):
            yield forbidden(f"{path}.{field}", "must populate the given metric source only")


def _metric_source(path: str, kind: str, source: Object) -> Errors:
    target = source.get("target") or {}
    if kind in ("Resource", "ContainerResource"):
        if not source.get("name"):
            yield required(f"{path}.name", "must specify a resource name")
        if kind == "ContainerResource":
            yield from _container_resource(path, source)
        yield from _target(f"{path}.target", target)
        utilization, value = target.get("averageUtilization"), target.get("averageValue")
        if utilization is None and value is None:
            detail = "must set either a target raw value or a target utilization"
            yield required(f"{path}.target.averageUtilization", detail)
        if utilization is not None and value is not None:
            detail = "may not set both a target raw value and a target utilization"
            yield forbidden(f"{path}.target.averageValue", detail)
        return
    if kind == "Object":
        yield from _described_object(f"{path}.describedObject", source.get("describedObject") or {})
    metric = source.get("metric") or {}
    name = metric.get("name") or ""
    if not name:
        yield required(f"{path}.metric.name", "must specify a metric name")
    else:
        yield from must(f"{path}.metric.name", name, path_segment_errors(name))
    yield from _target(f"{path}.target", target)
    value, average = target.get("value"), target.get("averageValue")
    if kind == "Pods" and (average is None or not parse(average).nanos):
        yield required(f"{path}.target.averageValue", "must specify a positive target averageValue")
    elif kind == "Object" and value is None and average is None:
        yield required(f"{path}.target.averageValue", "must set either a target value or averageValue")
    elif kind == "External" and value is None and average is None:
        detail = "must set either a target value for metric or a per-pod target"
        yield required(f"{path}.target.averageValue", detail)
    elif kind == "External" and value is not None and average is not None:
        detail = "may not set both a target value for metric and a per-pod target"
        yield forbidden(f"{path}.target.value", detail)


def _container_resource(path: str, source: Object) -> Errors:
    name = source.get("name") or ""
    if name:
        yield from container_resource_name(f"{path}.name", name)
    yield from must_be_given(f"{path}.container", source.get("container"), label_errors, "must specify a container")


def _described_object(path: str, reference: Object) -> Errors:
    yield from must_be_given(f"{path}.kind", reference.get("kind"), path_segment_errors)
    yield from must_be_given(f"{path}.name", reference.get("name"), path_segment_errors)
    version = reference.get("apiVersion") or ""
    if version.count("/") > 1:
        yield invalid(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")


def _target(path: str, target: Object) -> Errors:
    kind = target.get("type") or ""
    if not kind:
        yield required(f"{path}.type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        yield invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        quantity = target.get(field)
        if quantity is not None and parse(quantity).nanos <= 0:
            yield invalid(f"{path}.{field}", quantity, "must be positive")
    percent = target.get("averageUtilization")
    if percent is not None and percent < 1:
        yield invalid(f"{path}.averageUtilization", percent, "must be greater than 0")


def _rules(path: str, rules: Object) -> Errors:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > _WINDOW_SECONDS_MAX:
        detail = f"must be less than or equal to {_WINDOW_SECONDS_MAX}"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, detail)
    choice = rules.get("selectPolicy")
    yield from optional_one_of(f"{path}.selectPolicy", choice, ("Disabled", "Max", "Min"))
    if not rules.get("policies"):
        yield required(f"{path}.policies", "must specify at least one Policy")
    for policy, at in each(rules, "policies", path):
        yield from one_of(f"{at}.type", policy.get("type"), ("Percent", "Pods"))
        if policy.get("value", 0) <= 0:
            yield invalid(f"{at}.value", policy.get("value", 0), "must be greater than zero")
        period = policy.get("periodSeconds", 0)
        if period <= 0:
            yield invalid(f"{at}.periodSeconds", period, "must be greater than zero")
        if period > _PERIOD_SECONDS_MAX:
            yield invalid(f"{at}.periodSeconds", period, f"must be less than or equal to {_PERIOD_SECONDS_MAX}")


def validate_disruption_budget(budget: Object) -> list[FieldError]:
    return list(_disruption_budget(budget.get("spec") or {}))


def _disruption_budget(spec: Object) -> Errors:
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        yield invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field, amount in (("minAvailable", least), ("maxUnavailable", most)):
        yield from amount_or_percent(f"spec.{field}", amount)
        yield from at_most_all(f"spec.{field}", amount)
    yield from label_selector("spec.selector", spec.get("selector"))
    policy = spec.get("unhealthyPodEvictionPolicy")
    yield from optional_one_of("spec.unhealthyPodEvictionPolicy", policy, ("AlwaysAllow", "IfHealthyBudget"))


def validate_priority_class(priority_class: Object) -> list[FieldError]:
    return list(_priority_class(priority_class))


def _priority_class(priority_class: Object) -> Errors:
    name, value = priority_class["metadata"].get("name") or "", priority_class.get("value", 0)
    if name.startswith("system-"):
        known = _SYSTEM_PRIORITIES.get(name)
        if known != value:
            wrong = f"{name} is not a known system priority class"
            if known is not None:
                wrong = f"value of {name} PriorityClass must be {known}"
            detail = f"priority class names with 'system-' prefix are reserved for system use only. error: {wrong}"
            yield forbidden("metadata.name", detail)
    elif value > _USER_PRIORITY_MAX:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {_USER_PRIORITY_MAX}")
    policy = priority_class.get("preemptionPolicy")
    if policy == "":
        yield required("preemptionPolicy")
    else:
        yield from optional_one_of("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))


def validate_priority_class_update(new: Object, old: Object) -> list[FieldError]:
    errors = []
    if new.get("value", 0) != old.get("value", 0):
        errors.append(forbidden("value", "may not be changed in an update."))
    errors += same_as_before("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"))
    return errors


def validate_runtime_class(runtime_class: Object) -> list[FieldError]:
    return list(_runtime_class(runtime_class))


def _runtime_class(runtime_class: Object) -> Errors:
    handler = runtime_class.get("handler") or ""
    yield from must_be_given("handler", handler, label_errors)
    for name, quantity in ((runtime_class.get("overhead") or {}).get("podFixed") or {}).items():
        at = f"overhead.podFixed[{name}]"
        yield from must(at, name, qualified_name_errors(name))
        yield from resource_amount(at, name, quantity)
        yield from container_resource_name(f"overhead.limits[{name}]", name)
    scheduling = runtime_class.get("scheduling") or {}
    yield from labels("scheduling.nodeSelector", scheduling.get("nodeSelector"))
    yield from tolerations("scheduling", scheduling)
    seen: list[Object] = []
    for toleration, at in each(scheduling, "tolerations", "scheduling"):
        if toleration in seen:
            fields = ("key", "operator", "value", "effect")
            shown = {field.capitalize(): toleration.get(field) or "" for field in fields}
            yield duplicate(at, InOrder(**shown, TolerationSeconds=toleration.get("tolerationSeconds")))
        seen.append(toleration)


def validate_runtime_class_update(new: Object, old: Object) -> list[FieldError]:
    return list(same_as_before("handler", new.get("handler"), old.get("handler")))
