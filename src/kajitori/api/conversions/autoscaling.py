"""autoscaling/v1 HorizontalPodAutoscaler over the stored v2: what v1 has no field for travels in annotations.

The annotations hold JSON: metrics in the flat shape they had in v2beta1, behaviour under capitalised names, as
upstream writes both, so that a client of v1 gives back what it did not understand.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from kajitori.api.meta import Object

_PREFIX = "autoscaling.alpha.kubernetes.io/"
_METRICS, _CURRENT_METRICS, _CONDITIONS, _BEHAVIOR = (
    _PREFIX + name for name in ("metrics", "current-metrics", "conditions", "behavior")
)

_FIELDS = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
# type of metric -> field of the v2 target -> flat name
_TARGETS: Mapping[str, Mapping[str, str]] = {
    "Object": {"value": "targetValue", "averageValue": "averageValue"},
    "Pods": {"averageValue": "targetAverageValue"},
    "Resource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "ContainerResource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "External": {"value": "targetValue", "averageValue": "targetAverageValue"},
}
_CURRENTS: Mapping[str, Mapping[str, str]] = {
    "Object": {"value": "currentValue", "averageValue": "averageValue"},
    "Pods": {"averageValue": "currentAverageValue"},
    "Resource": {"averageUtilization": "currentAverageUtilization", "averageValue": "currentAverageValue"},
    "ContainerResource": {"averageUtilization": "currentAverageUtilization", "averageValue": "currentAverageValue"},
    "External": {"value": "currentValue", "averageValue": "currentAverageValue"},
}
_TARGET_TYPES = {"value": "Value", "averageValue": "AverageValue", "averageUtilization": "Utilization"}
_SELECTOR_NAMES = {"External": "metricSelector"}


def from_v2(autoscaler: Object) -> Object:
    converted = {**autoscaler, "apiVersion": "autoscaling/v1", "metadata": {**autoscaler["metadata"]}}
    annotations = dict(converted["metadata"].get("annotations") or {})
    spec = dict(autoscaler.get("spec") or {})
    metrics = list(spec.pop("metrics", None) or ())
    cpu = next((m for m in metrics if _is_cpu_utilization(m)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"]["averageUtilization"]
        metrics.remove(cpu)
    if metrics:
        annotations[_METRICS] = _dump([_flat(m, "target", _TARGETS) for m in metrics])
    if (behavior := spec.pop("behavior", None)) is not None:
        annotations[_BEHAVIOR] = _dump(_renamed(behavior, _capitalised))
    converted["spec"] = spec
    status = dict(autoscaler.get("status") or {})
    if current := status.pop("currentMetrics", None):
        annotations[_CURRENT_METRICS] = _dump([_flat(m, "current", _CURRENTS) for m in current])
        used = next((m for m in current if (m.get("resource") or {}).get("name") == "cpu"), None)
        utilization = ((used or {}).get("resource") or {}).get("current", {}).get("averageUtilization")
        if utilization is not None:
            status["currentCPUUtilizationPercentage"] = utilization
    if conditions := status.pop("conditions", None):
        annotations[_CONDITIONS] = _dump(conditions)
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    converted["status"] = status
    return _with_annotations(converted, annotations)


def to_v2(autoscaler: Object) -> Object:
    converted = {**autoscaler, "apiVersion": "autoscaling/v2", "metadata": {**autoscaler["metadata"]}}
    annotations = dict(converted["metadata"].get("annotations") or {})
    spec = dict(autoscaler.get("spec") or {})
    metrics: list[Object] = []
    percentage = spec.pop("targetCPUUtilizationPercentage", None)
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    metrics += [_nested(m, "target", _TARGETS) for m in objects_in(annotations.pop(_METRICS, None))]
    if metrics:
        spec["metrics"] = metrics
    behavior = _load(annotations.pop(_BEHAVIOR, None))
    if behavior and isinstance(behavior, dict):
        spec["behavior"] = _renamed(behavior, _uncapitalised)
    converted["spec"] = spec
    status = dict(autoscaler.get("status") or {})
    utilization = status.pop("currentCPUUtilizationPercentage", None)
    current = [_nested(m, "current", _CURRENTS) for m in objects_in(annotations.pop(_CURRENT_METRICS, None))]
    if utilization is not None and not any((m.get("resource") or {}).get("name") == "cpu" for m in current):
        current.append(
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": utilization}}}
        )
    if current:
        status["currentMetrics"] = current
    if conditions := objects_in(annotations.pop(_CONDITIONS, None)):
        status["conditions"] = conditions
    converted["status"] = status
    return _with_annotations(converted, annotations)


def _is_cpu_utilization(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    target = resource.get("target") or {}
    return resource.get("name") == "cpu" and target.get("averageUtilization") is not None


def _flat(metric: Object, side: str, names: Mapping[str, Mapping[str, str]]) -> Object:
    kind = metric.get("type", "")
    field = _FIELDS.get(kind)
    if field is None or field not in metric:
        return metric
    source = dict(metric[field])
    values = source.pop(side, {})
    identity = source.pop("metric", None)
    if kind == "Object" and "describedObject" in source:
        source["target"] = source.pop("describedObject")
    if identity is not None:
        source["metricName"] = identity.get("name", "")
        if identity.get("selector") is not None:
            source[_SELECTOR_NAMES.get(kind, "selector")] = identity["selector"]
    for name, flat in names[kind].items():
        if values.get(name) is not None:
            source[flat] = values[name]
    return {"type": kind, field: source}


def _nested(metric: Object, side: str, names: Mapping[str, Mapping[str, str]]) -> Object:
    kind = metric.get("type", "")
    field = _FIELDS.get(kind)
    if field is None or field not in metric:
        return metric
    source = dict(metric[field])
    values: Object = {}
    for name, flat in names[kind].items():
        if flat in source:
            values[name] = source.pop(flat)
    if side == "target" and values:
        values["type"] = _TARGET_TYPES[next(iter(values))]
    if kind == "Object" and "target" in source:
        source["describedObject"] = source.pop("target")
    if "metricName" in source:
        identity: Object = {"name": source.pop("metricName")}
        selector = source.pop(_SELECTOR_NAMES.get(kind, "selector"), None)
        if selector is not None:
            identity["selector"] = selector
        source["metric"] = identity
    source[side] = values
    return {"type": kind, field: source}


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


def _load(text: str | None) -> Any:
    """Nothing when the annotation is absent or is not JSON: upstream ignores it then, too."""
    try:
        return orjson.loads(text) if text else ()
    except orjson.JSONDecodeError:
        return ()


def objects_in(text: str | None) -> list[Object]:
    """Those that an annotation holds in a list."""
    found = _load(text)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]


def _uncapitalised(name: str) -> str:
    return name[:1].lower() + name[1:]


def _renamed(value: Any, rename: Any) -> Any:
    if isinstance(value, dict):
        return {rename(key): _renamed(item, rename) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_renamed(item, rename) for item in value]
    return value


def _with_annotations(obj: Object, annotations: Mapping[str, str] | Iterable[tuple[str, str]]) -> Object:
    if found := dict(annotations):
        obj["metadata"]["annotations"] = found
    else:
        obj["metadata"].pop("annotations", None)
    return obj
