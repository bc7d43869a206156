from typing import Any

import pytest

from kajitori.api.apps import DEPLOYMENT, REPLICA_SET
from kajitori.api.core import PERSISTENT_VOLUME_CLAIM, POD
from kajitori.api.meta import condition_of
from kajitori.api.policy import POD_DISRUPTION_BUDGET
from kajitori.api.times import timestamp
from kajitori.controllers.disruption import DisruptionController
from kajitori.controllers.volumes.ephemeral import EphemeralVolumeController


def make_pod(name: str, owner: str = "", ready: bool = True, **spec: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, "namespace": "default", "labels": {"app": "web"}}
    if owner:
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
        ]
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": meta,
        "spec": {"containers": [], **spec},
        "status": {"phase": "Running", "conditions": conditions},
    }


def make_budget(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


@pytest.mark.parametrize(
    ("spec", "ready", "expected"),
    [
        (
            {"minAvailable": 2},
            4,
            {"expectedPods": 4, "desiredHealthy": 2, "currentHealthy": 4, "disruptionsAllowed": 2},
        ),
        (
            {"minAvailable": 2},
            1,
            {"expectedPods": 4, "desiredHealthy": 2, "currentHealthy": 1, "disruptionsAllowed": 0},
        ),
        (
            {"minAvailable": "50%"},
            4,
            {"expectedPods": 5, "desiredHealthy": 3, "currentHealthy": 4, "disruptionsAllowed": 1},
        ),
        (
            {"maxUnavailable": 2},
            4,
            {"expectedPods": 5, "desiredHealthy": 3, "currentHealthy": 4, "disruptionsAllowed": 1},
        ),
        (
            {"maxUnavailable": "10%"},
            4,
            {"expectedPods": 5, "desiredHealthy": 4, "currentHealthy": 4, "disruptionsAllowed": 0},
        ),
    ],
)
def test_how_many_may_be_disrupted(loops: Any, spec: dict[str, Any], ready: int, expected: dict[str, int]) -> None:
    async def scenario() -> None:
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "d", "controller": True}
        loops.api.put(
            DEPLOYMENT, {"metadata": {"name": "d", "namespace": "default", "uid": "d"}, "spec": {"replicas": 5}}
        )
        for name in ("old", "new"):
            meta = {"name": name, "namespace": "default", "uid": name, "ownerReferences": [reference]}
            loops.api.put(REPLICA_SET, {"metadata": meta, "spec": {"replicas": 3}})
        for number in range(4):
            loops.api.put(POD, make_pod(f"p{number}", "new" if number else "old", ready=number < ready))
        loops.api.put(POD_DISRUPTION_BUDGET, make_budget(**spec))
        await loops.settle()
        status = loops.api.one(POD_DISRUPTION_BUDGET, "b")["status"]
        assert {key: status[key] for key in expected} == expected

    loops.run([DisruptionController], scenario)


def test_a_granted_eviction_lapses_when_nothing_is_deleted(loops: Any) -> None:
    async def scenario() -> None:
        for name in ("a", "b"):
            loops.api.put(POD, make_pod(name))
        budget = make_budget(minAvailable=1) | {"status": {"disruptedPods": {"a": timestamp(loops.clock.now())}}}
        loops.api.put(POD_DISRUPTION_BUDGET, budget)
        await loops.settle()
        assert loops.api.one(POD_DISRUPTION_BUDGET, "b")["status"]["disruptionsAllowed"] == 0
        await loops.settle(125)
        status = loops.api.one(POD_DISRUPTION_BUDGET, "b")["status"]
        assert status["disruptionsAllowed"] == 1 and "disruptedPods" not in status

    loops.run([DisruptionController], scenario)


def test_pods_without_a_controller_have_no_percentage(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(POD, make_pod("a"))
        loops.api.put(POD_DISRUPTION_BUDGET, make_budget(maxUnavailable=1))
        await loops.settle()
        condition = condition_of(loops.api.one(POD_DISRUPTION_BUDGET, "b"), "DisruptionAllowed")
        assert condition is not None and condition["reason"] == "SyncFailed"

    loops.run([DisruptionController], scenario)


def test_an_ephemeral_volume_gets_a_claim_that_the_pod_owns(loops: Any) -> None:
    volume = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}

    async def scenario() -> None:
        loops.api.put(POD, make_pod("a", volumes=[volume]))
        await loops.settle()
        claim = loops.api.one(PERSISTENT_VOLUME_CLAIM, "a-scratch")
        assert claim["metadata"]["ownerReferences"][0]["kind"] == "Pod"

    loops.run([EphemeralVolumeController], scenario)
