from typing import Any

import orjson
import pytest

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.autoscaling import HORIZONTAL_POD_AUTOSCALER
from kajitori.api.core import POD
from kajitori.api.meta import condition_of
from kajitori.api.times import timestamp
from kajitori.controllers.autoscaling.behavior import Memory, limit, remember_change
from kajitori.controllers.autoscaling.controller import HorizontalPodAutoscalerController
from kajitori.controllers.autoscaling.replicas import NoMetrics, Target, needed
from kajitori.controllers.discovery import DiscoveryController

NOW_S = 1_800_000_000.0
HALF = Target("cpu", utilization=50)


def make_pod(
    name: str, request: str | None = "100m", phase: str = "Running", ready: str = "True", age_s: float = 3600
) -> dict[str, Any]:
    resources = {"requests": {"cpu": request}} if request else {}
    since = timestamp(NOW_S - age_s)
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "resources": resources}]},
        "status": {
            "phase": phase,
            "startTime": since,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}],
        },
    }


@pytest.mark.parametrize(
    ("millicores", "expected"),
    [([50, 50], 2), ([54, 54], 2), ([100, 100], 4), ([60, 60], 3), ([10, 10], 1), ([0, 0], 0)],
    ids=["at target", "within tolerance", "twice", "a little above", "below", "idle"],
)
def test_the_size_follows_utilization(millicores: list[int], expected: int) -> None:
    pods = [make_pod(f"p{n}") for n in range(len(millicores))]
    usage = {f"p{n}": {"c": used} for n, used in enumerate(millicores)}
    assert needed(HALF, len(pods), pods, usage, NOW_S).replicas == expected


def test_pods_that_start_or_say_nothing_dampen_the_change() -> None:
    pods = [make_pod("a"), make_pod("b"), make_pod("new", ready="False", age_s=10), make_pod("mute")]
    assert needed(HALF, 4, pods, {"a": {"c": 100}, "b": {"c": 100}, "new": {"c": 900}}, NOW_S).replicas == 4
    assert needed(HALF, 4, pods[:2] + pods[3:], {"a": {"c": 0}, "b": {"c": 0}}, NOW_S).replicas == 1


def test_an_average_value_needs_no_requests_but_utilization_does() -> None:
    pods = [make_pod("a", request=None)]
    assert needed(Target("cpu", average=50), 1, pods, {"a": {"c": 150}}, NOW_S).replicas == 3
    with pytest.raises(NoMetrics, match="missing request for cpu"):
        needed(HALF, 1, pods, {"a": {"c": 150}}, NOW_S)
    with pytest.raises(NoMetrics):
        needed(HALF, 1, [make_pod("a")], {}, NOW_S)


def make_autoscaler(**spec: Any) -> dict[str, Any]:
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 10,
            "metrics": [metric],
            **spec,
        },
    }


def test_growth_is_at_most_four_or_double_and_within_bounds() -> None:
    autoscaler = make_autoscaler(maxReplicas=30)
    memory = Memory()
    first = limit(autoscaler, 1, 100, memory, NOW_S)
    assert (first.replicas, first.limited) == (5, "ScaleUpLimit")
    remember_change(memory, 4, NOW_S)
    assert limit(autoscaler, 5, 100, memory, NOW_S + 5).replicas == 5
    assert limit(autoscaler, 5, 100, memory, NOW_S + 20).replicas == 10
    assert limit(make_autoscaler(maxReplicas=3), 2, 100, Memory(), NOW_S).limited == "TooManyReplicas"


def test_shrinking_waits_for_the_highest_proposal_of_five_minutes() -> None:
    autoscaler, memory = make_autoscaler(), Memory()
    assert limit(autoscaler, 6, 6, memory, NOW_S).replicas == 6
    assert limit(autoscaler, 6, 2, memory, NOW_S + 60).replicas == 6
    assert limit(autoscaler, 6, 2, memory, NOW_S + 301).replicas == 2


def test_policies_of_the_user() -> None:
    down = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    assert limit(make_autoscaler(behavior={"scaleDown": down}), 6, 1, Memory(), NOW_S).replicas == 5
    frozen = make_autoscaler(behavior={"scaleDown": {"stabilizationWindowSeconds": 0, "selectPolicy": "Disabled"}})
    assert limit(frozen, 6, 1, Memory(), NOW_S).replicas == 6


class Metrics:
    """metrics.k8s.io and the scale subresource in front of the fake API."""

    def __init__(self, loops: Any) -> None:
        self.api, self.usage = loops.api, "100m"
        raw, get, update = self.api.raw, self.api.get, self.api.update

        async def with_metrics(method: str, path: str, body: bytes = b"", headers: Any = None) -> Any:
            if not path.startswith("/apis/metrics.k8s.io"):
                return await raw(method, path, body, headers)
            containers = [{"name": "c", "usage": {"cpu": self.usage}}]
            items = [{"metadata": {"name": p["metadata"]["name"]}, "containers": containers} for p in self.api.all(POD)]
            return 200, {}, orjson.dumps({"items": items})

        async def with_scale(resource: Any, name: str, namespace: Any = None, *, subresource: Any = None) -> Any:
            found = await get(resource, name, namespace)
            if subresource != "scale":
                return found
            meta = {key: found["metadata"][key] for key in ("name", "namespace")}
            return {
                "metadata": meta,
                "spec": {"replicas": found["spec"]["replicas"]},
                "status": {"selector": "app=web"},
            }

        async def set_scale(resource: Any, obj: Any, *, subresource: Any = None) -> Any:
            if subresource != "scale":
                return await update(resource, obj, subresource=subresource)
            return self.api.edit(resource, obj["metadata"]["name"], lambda d: d["spec"].update(obj["spec"]))

        self.api.raw, self.api.get, self.api.update = with_metrics, with_scale, set_scale


def test_load_makes_it_grow_and_calm_makes_it_shrink_later(loops: Any) -> None:
    loops.api.kinds = [DEPLOYMENT]
    metrics = Metrics(loops)

    def be_the_replicaset() -> None:
        wanted = loops.api.one(DEPLOYMENT, "web")["spec"]["replicas"]
        present = [p["metadata"]["name"] for p in loops.api.all(POD)]
        for name in present[wanted:]:
            loops.api.remove(POD, name)
        for number in range(len(present), wanted):
            loops.api.put(POD, make_pod(f"p{number}", age_s=9999))

    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 2}})
        be_the_replicaset()
        loops.api.put(HORIZONTAL_POD_AUTOSCALER, make_autoscaler())
        await loops.settle(16)
        assert loops.api.one(DEPLOYMENT, "web")["spec"]["replicas"] == 4
        be_the_replicaset()
        metrics.usage = "50m"
        await loops.settle(60)
        autoscaler = loops.api.one(HORIZONTAL_POD_AUTOSCALER, "web")
        assert autoscaler["status"]["currentReplicas"] == autoscaler["status"]["desiredReplicas"] == 4
        assert autoscaler["status"]["currentMetrics"][0]["resource"]["current"] == {
            "averageUtilization": 50,
            "averageValue": "50m",
        }
        active = condition_of(autoscaler, "ScalingActive")
        assert active is not None and active["status"] == "True"
        metrics.usage = "1m"
        await loops.settle(60)
        assert loops.api.one(DEPLOYMENT, "web")["spec"]["replicas"] == 4
        await loops.settle(400)
        assert loops.api.one(DEPLOYMENT, "web")["spec"]["replicas"] == 1

    loops.run([DiscoveryController, HorizontalPodAutoscalerController], scenario)
    assert any(e.startswith("SuccessfulRescale: New size: 4;") for e in loops.api.events())


@pytest.mark.parametrize("target", [{"apiVersion": "apps/v1"}, {}])
def test_a_missing_target_is_told(loops: Any, target: dict[str, str]) -> None:
    """A target without apiVersion is one of the core group."""
    loops.api.kinds = [DEPLOYMENT]

    async def scenario() -> None:
        reference = {"kind": "Deployment", "name": "web", **target}
        loops.api.put(HORIZONTAL_POD_AUTOSCALER, make_autoscaler(scaleTargetRef=reference))
        await loops.settle(16)
        able = condition_of(loops.api.one(HORIZONTAL_POD_AUTOSCALER, "web"), "AbleToScale")
        assert able is not None and (able["status"], able["reason"]) == ("False", "FailedGetScale")

    loops.run([DiscoveryController, HorizontalPodAutoscalerController], scenario)
