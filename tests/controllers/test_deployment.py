import copy
from typing import Any

import pytest

from kajitori.api.apps import DEPLOYMENT, REPLICA_SET
from kajitori.api.core import POD
from kajitori.api.meta import condition_of
from kajitori.controllers.deployment import revisions, scaling
from kajitori.controllers.deployment.controller import DeploymentController
from kajitori.controllers.hashing import safe_encode, template_hash
from kajitori.controllers.replicaset import ReplicaSetController

LOOPS = [DeploymentController, ReplicaSetController]


def make_deployment(replicas: int = 3, surge: int | str = 1, unavailable: int | str = 0, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "d1", "annotations": {"team": "a"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "v1"}]},
            },
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            **spec,
        },
    }


def make_set(
    name: str, replicas: int, available: int | None = None, desired: int | None = None, most: int | None = None
) -> dict[str, Any]:
    annotations = {}
    if desired is not None:
        annotations[scaling.DESIRED_REPLICAS] = str(desired)
    if most is not None:
        annotations[scaling.MAX_REPLICAS] = str(most)
    count = replicas if available is None else available
    return {
        "metadata": {
            "name": name,
            "uid": name,
            "annotations": annotations,
            "creationTimestamp": f"2026-01-0{name[-1]}T00:00:00Z",
        },
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "c", "image": name}]}}},
        "status": {"replicas": replicas, "availableReplicas": count, "readyReplicas": count},
    }


def sizes(resizes: list[scaling.Resize]) -> dict[str, int]:
    return {resize.replica_set["metadata"]["name"]: resize.replicas for resize in resizes}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (3, 0, 0, (0, 1)),
        (2, "0%", "10%", (0, 1)),
        (4, 2, 9, (2, 4)),
    ],
)
def test_surge_rounds_up_unavailable_rounds_down_never_both_zero(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    deployment = make_deployment(replicas, surge, unavailable)
    assert (scaling.max_surge(deployment), scaling.max_unavailable(deployment)) == expected


@pytest.mark.parametrize(
    ("replicas", "surge", "old", "new", "expected"),
    [(10, 2, 10, 0, 2), (10, 2, 8, 2, 4), (10, 0, 10, 0, 0), (10, 5, 5, 10, 10), (5, 2, 0, 8, 5), (10, 20, 10, 0, 10)],
)
def test_the_new_set_grows_within_the_surge(replicas: int, surge: int, old: int, new: int, expected: int) -> None:
    sets = [make_set("s1", old), make_set("s2", new)]
    assert scaling.new_replicas(make_deployment(replicas, surge), sets, sets[1]) == expected


def test_old_sets_shrink_only_as_far_as_new_pods_are_available() -> None:
    deployment = make_deployment(10, 2, 2)
    old, new = make_set("s1", 10), make_set("s2", 2, available=0)
    assert sizes(scaling.shrink_old(deployment, new, [old])) == {"s1": 8}
    assert sizes(scaling.shrink_old(deployment, make_set("s2", 2, available=2), [old])) == {"s1": 6}


def test_broken_old_pods_go_first() -> None:
    deployment = make_deployment(10, 0, 2)
    broken, fine, new = make_set("s1", 3, available=0), make_set("s2", 7), make_set("s3", 0)
    assert sizes(scaling.shrink_old(deployment, new, [broken, fine])) == {"s1": 1}


def test_a_change_of_size_in_mid_rollout_is_shared_in_proportion() -> None:
    deployment = make_deployment(15, 3, 2)
    old, new = make_set("s1", 8, desired=10, most=13), make_set("s2", 5, desired=10, most=13)
    assert sizes(scaling.share_out(deployment, new, [old])) == {"s1": 11, "s2": 7}
    assert scaling.is_scaling(deployment, [old, new])


def test_scaling_to_zero_empties_every_set() -> None:
    old, new = make_set("s1", 8, desired=10, most=13), make_set("s2", 5, desired=10, most=13)
    assert sizes(scaling.share_out(make_deployment(0, 3, 2), new, [old])) == {"s1": 0, "s2": 0}


def test_a_saturated_new_set_lets_the_old_go() -> None:
    old, new = make_set("s1", 2, desired=3), make_set("s2", 3, desired=3)
    assert sizes(scaling.share_out(make_deployment(3), new, [old])) == {"s1": 0}


def test_hash_is_safe_stable_and_differs_after_a_collision() -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "v1"}]}, "metadata": {"labels": {"b": "1", "a": "2"}}}
    reordered = {"metadata": {"labels": {"a": "2", "b": "1"}}, "spec": copy.deepcopy(template["spec"])}
    assert template_hash(template) == template_hash(reordered)
    assert template_hash(template) != template_hash(template, 1)
    assert safe_encode("0123456789") == "456789bcdf"


def test_the_revision_history_of_a_set_remembers_what_it_was() -> None:
    used = make_set("s1", 0)
    used["metadata"]["annotations"] |= {revisions.REVISION: "1"}
    annotations = revisions.annotations_for(make_deployment(), used, 3)
    assert annotations[revisions.REVISION] == "3"
    assert annotations[revisions.REVISION_HISTORY] == "1"
    assert annotations["team"] == "a"


async def rolled_out(loops: Any, rounds: int = 12) -> None:
    for _ in range(rounds):
        await loops.run_pods()


def set_image(loops: Any, image: str) -> None:
    loops.api.edit(DEPLOYMENT, "web", lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image=image))


def images(loops: Any) -> list[str]:
    return sorted(p["spec"]["containers"][0]["image"] for p in loops.api.all(POD))


def test_a_rollout_replaces_every_pod_and_is_complete(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(3))
        await loops.settle()
        await rolled_out(loops, 2)
        set_image(loops, "v2")
        await loops.settle()
        assert images(loops) == ["v1", "v1", "v1", "v2"]
        await rolled_out(loops)
        assert images(loops) == ["v2", "v2", "v2"]
        deployment = loops.api.one(DEPLOYMENT, "web")
        status = deployment["status"]
        assert {
            k: status[k]
            for k in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
        } == {
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
            "observedGeneration": 2,
        }
        assert "unavailableReplicas" not in status
        assert deployment["metadata"]["annotations"][revisions.REVISION] == "2"
        progressing, available = condition_of(deployment, "Progressing"), condition_of(deployment, "Available")
        assert progressing is not None and available is not None
        assert (progressing["status"], progressing["reason"]) == ("True", "NewReplicaSetAvailable")
        assert progressing["message"].endswith("has successfully progressed.")
        assert (available["status"], available["reason"]) == ("True", "MinimumReplicasAvailable")

    loops.run(LOOPS, scenario)
    scaled = [e for e in loops.api.events() if e.startswith("ScalingReplicaSet")]
    assert scaled[0].startswith("ScalingReplicaSet: Scaled up replica set web-") and scaled[0].endswith(" from 0 to 3")
    assert scaled[-1].endswith(" from 1 to 0")


def test_never_fewer_available_nor_more_pods_than_allowed(loops: Any) -> None:
    seen: list[tuple[int, int]] = []

    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(6, "25%", "25%"))
        await loops.settle()
        await rolled_out(loops, 2)
        set_image(loops, "v2")
        for _ in range(12):
            await loops.settle()
            live = [p for p in loops.api.all(POD) if "deletionTimestamp" not in p["metadata"]]
            ready = [p for p in live if (p.get("status") or {}).get("phase") == "Running"]
            seen.append((len(ready), len(live)))
            await loops.run_pods()
        assert images(loops) == ["v2"] * 6

    loops.run(LOOPS, scenario)
    assert min(ready for ready, _ in seen) >= 5
    assert max(live for _, live in seen) <= 8


def test_a_bad_image_stops_the_rollout_and_undo_heals_it(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(3))
        await loops.settle()
        await rolled_out(loops, 2)
        set_image(loops, "bad")
        await loops.settle(700)
        assert images(loops) == ["bad", "v1", "v1", "v1"]
        progressing = condition_of(loops.api.one(DEPLOYMENT, "web"), "Progressing")
        assert progressing is not None and progressing["reason"] == "ProgressDeadlineExceeded"
        set_image(loops, "v1")
        await rolled_out(loops, 3)
        assert images(loops) == ["v1", "v1", "v1"]
        deployment = loops.api.one(DEPLOYMENT, "web")
        assert deployment["metadata"]["annotations"][revisions.REVISION] == "3"
        current = next(rs for rs in loops.api.all(REPLICA_SET) if rs["spec"]["replicas"] == 3)
        assert current["metadata"]["annotations"][revisions.REVISION_HISTORY] == "1"

    loops.run(LOOPS, scenario)


def test_recreate_waits_until_the_last_old_pod_is_gone(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(2, strategy={"type": "Recreate"}))
        await loops.settle()
        await rolled_out(loops, 2)
        set_image(loops, "v2")
        await loops.settle(5)
        assert images(loops) == ["v1", "v1"]
        await rolled_out(loops, 3)
        assert images(loops) == ["v2", "v2"]

    loops.run(LOOPS, scenario)


def test_a_paused_deployment_scales_but_does_not_roll(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(2))
        await loops.settle()
        await rolled_out(loops, 2)
        loops.api.edit(DEPLOYMENT, "web", lambda d: d["spec"].update(paused=True, replicas=4))
        set_image(loops, "v2")
        await rolled_out(loops, 3)
        assert images(loops) == ["v1"] * 4
        progressing = condition_of(loops.api.one(DEPLOYMENT, "web"), "Progressing")
        assert progressing is not None and (progressing["status"], progressing["reason"]) == (
            "Unknown",
            "DeploymentPaused",
        )
        loops.api.edit(DEPLOYMENT, "web", lambda d: d["spec"].pop("paused"))
        await rolled_out(loops)
        assert images(loops) == ["v2"] * 4

    loops.run(LOOPS, scenario)


def test_old_revisions_beyond_the_limit_are_deleted(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(1, revisionHistoryLimit=1))
        await loops.settle()
        for image in ("v2", "v3", "v4"):
            await rolled_out(loops, 4)
            set_image(loops, image)
        await rolled_out(loops, 6)
        kept = {rs["metadata"]["annotations"][revisions.REVISION] for rs in loops.api.all(REPLICA_SET)}
        assert kept == {"3", "4"}

    loops.run(LOOPS, scenario)


def test_a_taken_name_is_dodged_by_counting_the_collision(loops: Any) -> None:
    async def scenario() -> None:
        deployment = make_deployment(1)
        taken = revisions.make_replica_set(deployment, 1, 1)
        taken["metadata"].pop("ownerReferences")
        taken["metadata"]["labels"] = {}
        loops.api.put(REPLICA_SET, taken)
        loops.api.put(DEPLOYMENT, deployment)
        await loops.settle(10)
        assert loops.api.one(DEPLOYMENT, "web")["status"]["collisionCount"] == 1
        assert len(loops.api.all(REPLICA_SET)) == 2

    loops.run([DeploymentController], scenario)


def test_a_settled_deployment_writes_nothing(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(DEPLOYMENT, make_deployment(2))
        await loops.settle()
        await rolled_out(loops, 3)
        calls = len(loops.api.calls)
        await loops.settle(7200)
        assert len(loops.api.calls) == calls

    loops.run(LOOPS, scenario)
