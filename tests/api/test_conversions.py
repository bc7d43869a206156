"""Two versions over one stored document."""

from kajitori.api import autoscaling, events

V1, EVENT = autoscaling.HORIZONTAL_POD_AUTOSCALER_V1, events.EVENT


def autoscaler(**spec):
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "x"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, **spec},
        "status": {"desiredReplicas": 0},
    }


def utilization(name, percent):
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}


def test_cpu_utilization_is_a_field_of_v1():
    shown = V1.from_stored(autoscaler(metrics=[utilization("cpu", 80)]))
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 80
    assert "metrics" not in shown["spec"]
    assert shown["status"] == {"desiredReplicas": 0, "currentReplicas": 0}
    assert V1.to_stored(shown)["spec"]["metrics"] == [utilization("cpu", 80)]


def test_what_v1_cannot_say_survives_a_round_trip():
    metrics = [
        utilization("cpu", 80),
        utilization("memory", 70),
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "AverageValue", "averageValue": "5"},
            },
        },
        {
            "type": "Object",
            "object": {
                "describedObject": {"kind": "Service", "name": "s"},
                "metric": {"name": "rate"},
                "target": {"type": "Value", "value": "10"},
            },
        },
        {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
    ]
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Percent", "value": 10}]}}
    stored = autoscaler(metrics=metrics, behavior=behavior)
    shown = V1.from_stored(stored)
    assert "behavior" not in shown["spec"]
    back = V1.to_stored(shown)
    assert back["spec"] == stored["spec"]
    assert "annotations" not in back["metadata"]


def test_converting_leaves_its_argument_alone():
    stored = autoscaler(metrics=[utilization("memory", 80)])
    V1.from_stored(stored)
    assert stored == autoscaler(metrics=[utilization("memory", 80)])


def test_an_annotation_that_is_not_json_is_ignored():
    shown = V1.from_stored(autoscaler(metrics=[utilization("cpu", 80)]))
    shown["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "{"}
    assert V1.to_stored(shown)["spec"]["metrics"] == [utilization("cpu", 80)]


def test_an_event_has_other_names_in_its_own_group():
    new = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "n",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "c",
        "reportingInstance": "i",
        "action": "A",
        "reason": "R",
        "type": "Normal",
    }
    stored = EVENT.to_stored(new)
    assert stored["involvedObject"] == {"kind": "Pod", "name": "p"}
    assert (stored["message"], stored["reportingComponent"], stored["source"]) == ("n", "c", {})
    back = EVENT.from_stored(stored)
    assert {key: value for key, value in back.items() if not key.startswith("deprecated")} == new
