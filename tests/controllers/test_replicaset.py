from typing import Any

import pytest

from kajitori.api.apps import REPLICA_SET
from kajitori.api.core import POD, REPLICATION_CONTROLLER
from kajitori.api.errors import Forbidden
from kajitori.api.times import timestamp
from kajitori.controllers.pods import deletion_order
from kajitori.controllers.replicaset import (
    ReplicaSetController,
    ReplicationControllerController,
    plan,
    status_of,
)

NOW_S = 1_800_000_000.0


def make_set(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            **spec,
        },
    }


def make_pod(name: str, **fields: Any) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": fields.get("phase", "Running"), "conditions": []}
    if fields.get("ready", True):
        status["conditions"].append(
            {"type": "Ready", "status": "True", "lastTransitionTime": timestamp(fields.get("since", NOW_S - 1000))}
        )
    if "restarts" in fields:
        status["containerStatuses"] = [{"restartCount": fields["restarts"]}]
    meta: dict[str, Any] = {
        "name": name,
        "uid": name,
        "namespace": "default",
        "labels": fields.get("labels", {"app": "web"}),
        "creationTimestamp": timestamp(fields.get("created", NOW_S - 1000)),
    }
    if "cost" in fields:
        meta["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": str(fields["cost"])}
    return {"metadata": meta, "spec": {"nodeName": fields.get("node", "n1")}, "status": status}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (make_pod("a", node=""), make_pod("b")),
        (make_pod("a", phase="Pending"), make_pod("b")),
        (make_pod("a", ready=False), make_pod("b")),
        (make_pod("a", cost=-1), make_pod("b")),
        (make_pod("a", since=NOW_S - 2), make_pod("b", since=NOW_S - 5000)),
        (make_pod("a", restarts=4), make_pod("b", restarts=1)),
        (make_pod("a", created=NOW_S - 10), make_pod("b", created=NOW_S - 9000)),
        (make_pod("a", created=NOW_S - 1030), make_pod("b", created=NOW_S - 1100)),
    ],
    ids=["unassigned", "pending", "not ready", "cheap", "young", "restarted", "new", "equal in log scale: by uid"],
)
def test_deletion_prefers(first: dict[str, Any], then: dict[str, Any]) -> None:
    assert deletion_order([then, first], [], NOW_S) == [first, then]


def test_deletion_prefers_the_node_with_more_pods_of_the_application() -> None:
    alone, together, other = make_pod("a", node="n1"), make_pod("b", node="n2"), make_pod("other", node="n2")
    assert deletion_order([alone, together], [alone, together, other], NOW_S)[0] == together


def test_plan_creates_what_is_missing_and_deletes_what_is_too_much() -> None:
    pods = [make_pod("a"), make_pod("b", ready=False), make_pod("c")]
    assert plan(make_set(5), pods, pods, NOW_S).create == 2
    assert plan(make_set(2), pods, pods, NOW_S).delete == [pods[1]]
    assert plan(make_set(3), pods, pods, NOW_S) == plan(make_set(3), pods, [], NOW_S)


def test_one_round_creates_no_more_than_the_burst() -> None:
    assert plan(make_set(2000), [], [], NOW_S).create == 500


def test_status_counts_ready_available_and_fully_labelled() -> None:
    owner = make_set(minReadySeconds=60)
    owner["metadata"]["generation"] = 7
    owner["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    pods = [
        make_pod("a", labels={"app": "web", "tier": "front"}),
        make_pod("b", since=NOW_S - 10),
        make_pod("c", ready=False),
    ]
    assert status_of(owner, pods, None, NOW_S, terminating=1) == {
        "replicas": 3,
        "fullyLabeledReplicas": 1,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 7,
    }


def test_pods_are_created_counted_and_scaled_down(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(REPLICA_SET, make_set(3))
        await loops.settle()
        assert len(loops.api.all(POD)) == 3
        assert all(p["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet" for p in loops.api.all(POD))
        await loops.run_pods()
        status = loops.api.one(REPLICA_SET, "web")["status"]
        assert (status["replicas"], status["readyReplicas"], status["observedGeneration"]) == (3, 3, 1)
        loops.api.edit(REPLICA_SET, "web", lambda rs: rs["spec"].update(replicas=1))
        await loops.settle()
        assert sum("deletionTimestamp" not in p["metadata"] for p in loops.api.all(POD)) == 1
        assert loops.api.one(REPLICA_SET, "web")["status"]["terminatingReplicas"] == 2
        await loops.run_pods()
        assert loops.api.one(REPLICA_SET, "web")["status"]["terminatingReplicas"] == 0

    loops.run([ReplicaSetController], scenario)
    assert sum(e.startswith("SuccessfulCreate: Created pod: web-") for e in loops.api.events()) == 3
    assert sum(e.startswith("SuccessfulDelete: Deleted pod: web-") for e in loops.api.events()) == 2


def test_nothing_is_written_or_timed_when_all_is_well(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(REPLICA_SET, make_set(2))
        await loops.settle()
        await loops.run_pods()
        calls = len(loops.api.calls)
        await loops.settle(3600)
        assert len(loops.api.calls) == calls

    loops.run([ReplicaSetController], scenario)


def test_a_failed_pod_is_replaced(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(REPLICA_SET, make_set(1))
        await loops.settle()
        loops.finish(loops.api.all(POD)[0]["metadata"]["name"], "Failed", 1)
        await loops.settle()
        assert len(loops.api.all(POD)) == 2

    loops.run([ReplicaSetController], scenario)


def test_matching_orphans_are_adopted_and_relabelled_pods_released(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(POD, make_pod("orphan"))
        loops.api.put(REPLICA_SET, make_set(1))
        await loops.settle()
        (pod,) = loops.api.all(POD)
        assert pod["metadata"]["ownerReferences"][0]["name"] == "web"
        loops.api.edit(POD, "orphan", lambda p: p["metadata"].update(labels={"app": "debug"}))
        await loops.settle()
        assert "ownerReferences" not in loops.api.one(POD, "orphan")["metadata"]
        assert len(loops.api.all(POD)) == 2

    loops.run([ReplicaSetController], scenario)


def test_a_new_orphan_beyond_the_wanted_number_is_adopted_then_deleted(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(REPLICA_SET, make_set(1))
        await loops.settle()
        await loops.run_pods()
        loops.api.put(POD, make_pod("orphan", phase="Pending", ready=False, node=""))
        await loops.settle()
        assert [p["metadata"]["name"] for p in loops.api.all(POD) if p["metadata"]["name"] == "orphan"] == []

    loops.run([ReplicaSetController], scenario)


def test_a_quota_is_asked_once_per_round_and_shown_as_a_condition(loops: Any) -> None:
    def refuse(verb: str, resource: Any, obj: Any) -> None:
        if verb == "create" and resource.plural == "pods":
            raise Forbidden("exceeded quota: compute")

    async def scenario() -> None:
        loops.api.refuse = refuse
        loops.api.put(REPLICA_SET, make_set(50))
        await loops.clock.settle()
        # Its own new condition wakes it once more.
        assert sum(c[:2] == ("create", "pods") for c in loops.api.calls) <= 2
        (condition,) = loops.api.one(REPLICA_SET, "web")["status"]["conditions"]
        assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
        loops.api.refuse = lambda *_: None
        await loops.settle(120)
        assert "conditions" not in loops.api.one(REPLICA_SET, "web")["status"]
        assert len(loops.api.all(POD)) == 50

    loops.run([ReplicaSetController], scenario)
    assert any(e.startswith("FailedCreate: Error creating: exceeded quota") for e in loops.api.events())


def test_a_terminating_namespace_is_not_tried_again(loops: Any) -> None:
    def refuse(verb: str, resource: Any, obj: Any) -> None:
        if verb == "create" and resource.plural == "pods":
            raise Forbidden("it is being terminated", {"causes": [{"reason": "NamespaceTerminating"}]})

    async def scenario() -> None:
        loops.api.refuse = refuse
        loops.api.put(REPLICA_SET, make_set(1))
        await loops.settle(600)
        assert sum(c[:2] == ("create", "pods") for c in loops.api.calls) <= 2

    loops.run([ReplicaSetController], scenario)


def test_availability_is_seen_when_min_ready_seconds_have_passed(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(REPLICA_SET, make_set(1, minReadySeconds=30))
        await loops.settle()
        await loops.run_pods()
        assert "availableReplicas" not in loops.api.one(REPLICA_SET, "web")["status"]
        await loops.settle(31)
        assert loops.api.one(REPLICA_SET, "web")["status"]["availableReplicas"] == 1

    loops.run([ReplicaSetController], scenario)


def test_a_replication_controller_selects_by_a_plain_map(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(REPLICATION_CONTROLLER, make_set(2, selector={"app": "web"}))
        await loops.settle()
        assert len(loops.api.all(POD)) == 2
        assert loops.api.one(REPLICATION_CONTROLLER, "web")["status"]["replicas"] == 2

    loops.run([ReplicationControllerController], scenario)
