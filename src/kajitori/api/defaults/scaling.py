"""Defaults of the horizontal pod autoscaler."""

from kajitori.api.conversions.autoscaling import objects_in
from kajitori.api.defaults.filling import fill, part
from kajitori.api.meta import Object

CPU_UTILIZATION_PERCENT = 80

_METRICS_ANNOTATION = "autoscaling.alpha.kubernetes.io/metrics"


def default_autoscaler(autoscaler: Object) -> None:
    spec = part(autoscaler, "spec")
    fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_UTILIZATION_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if (behavior := spec.get("behavior")) is not None:
        _default_rules(part(behavior, "scaleUp"), _up_policies())
        fill(behavior["scaleUp"], stabilizationWindowSeconds=0)
        _default_rules(part(behavior, "scaleDown"), [_policy("Percent", 100)])


def default_autoscaler_v1(autoscaler: Object) -> None:
    spec = part(autoscaler, "spec")
    fill(spec, minReplicas=1)
    if not objects_in((autoscaler["metadata"].get("annotations") or {}).get(_METRICS_ANNOTATION)):
        fill(spec, targetCPUUtilizationPercentage=CPU_UTILIZATION_PERCENT)


def prepare_autoscaler(autoscaler: Object) -> None:
    autoscaler["status"] = {"desiredReplicas": 0, "currentMetrics": None}


def prepare_autoscaler_v1(autoscaler: Object) -> None:
    autoscaler["status"] = {"currentReplicas": 0, "desiredReplicas": 0}


def prepare_disruption_budget(budget: Object) -> None:
    budget["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


def _default_rules(rules: Object, policies: list[Object]) -> None:
    fill(rules, selectPolicy="Max", policies=policies)


def _up_policies() -> list[Object]:
    return [_policy("Pods", 4), _policy("Percent", 100)]


def _policy(kind: str, value: int) -> Object:
    return {"type": kind, "value": value, "periodSeconds": 15}
