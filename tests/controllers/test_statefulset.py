from typing import Any

import pytest

from kajitori.api.apps import CONTROLLER_REVISION, STATEFUL_SET
from kajitori.api.core import PERSISTENT_VOLUME_CLAIM, POD
from kajitori.controllers.statefulset.controller import StatefulSetController
from kajitori.controllers.statefulset.identity import claim_owners, make_pod, ordinal_of
from kajitori.controllers.statefulset.plan import Create, Delete, Revisions, plan

REVISIONS = Revisions("db-old", "db-new")


def make_set(replicas: int = 3, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default", "uid": "s1"},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "v1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "podManagementPolicy": "OrderedReady",
            **spec,
        },
    }


def pod(ordinal: int, revision: str = "db-new", state: str = "ready") -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": f"db-{ordinal}",
        "namespace": "default",
        "labels": {"controller-revision-hash": revision},
    }
    if state == "deleting":
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "Ready", "status": "True"}] if state in ("ready", "deleting") else []
    phase = "Failed" if state == "failed" else "Running"
    return {"metadata": meta, "spec": {}, "status": {"phase": phase, "conditions": conditions}}


def decide(statefulset: dict[str, Any], *pods: dict[str, Any]) -> list[str]:
    shown = []
    for action in plan(statefulset, pods, REVISIONS, 0.0).actions:
        match action:
            case Create(ordinal, revision):
                shown.append(f"create {ordinal} {revision}")
            case Delete(victim, _):
                shown.append(f"delete {victim['metadata']['name']}")
    return shown


PARALLEL = {"podManagementPolicy": "Parallel"}


def rolling(**rolling_update: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling_update}}


@pytest.mark.parametrize(
    ("statefulset", "pods", "expected"),
    [
        (make_set(3), [], ["create 0 db-new"]),
        (make_set(3), [pod(0, state="unready")], []),
        (make_set(3), [pod(0)], ["create 1 db-new"]),
        (make_set(3), [pod(0), pod(2)], ["create 1 db-new"]),
        (make_set(2), [pod(0, state="deleting"), pod(1)], []),
        (make_set(2), [pod(0, state="failed"), pod(1)], ["delete db-0"]),
        (make_set(3, **PARALLEL), [pod(1, state="unready")], ["create 0 db-new", "create 2 db-new"]),
        (make_set(1), [pod(0), pod(1), pod(2)], ["delete db-2"]),
        (make_set(1), [pod(0), pod(1), pod(2, state="deleting")], []),
        (make_set(1), [pod(0, state="unready"), pod(1)], []),
        (make_set(1), [pod(0), pod(1, state="unready"), pod(2, state="unready")], []),
        (make_set(1, **PARALLEL), [pod(0), pod(1), pod(2)], ["delete db-2", "delete db-1"]),
        (make_set(2, ordinals={"start": 5}), [pod(5)], ["create 6 db-new"]),
        (make_set(3), [pod(0, "db-old"), pod(1, "db-old"), pod(2, "db-old")], ["delete db-2"]),
        (make_set(3), [pod(0, "db-old"), pod(1, "db-old"), pod(2)], ["delete db-1"]),
        (make_set(3), [pod(0, "db-old"), pod(1, "db-old"), pod(2, state="unready")], []),
        (make_set(3, **rolling(partition=2)), [pod(0, "db-old"), pod(1, "db-old"), pod(2)], []),
        (make_set(3, **rolling(partition=2)), [pod(0, "db-old")], ["create 1 db-old"]),
        (
            make_set(3, **rolling(maxUnavailable=2)),
            [pod(n, "db-old") for n in range(3)],
            ["delete db-2", "delete db-1"],
        ),
        (make_set(2, updateStrategy={"type": "OnDelete"}), [pod(0, "db-old"), pod(1, "db-old")], []),
        (make_set(2, updateStrategy={"type": "OnDelete"}), [pod(0, "db-old")], ["create 1 db-new"]),
    ],
)
def test_plan(statefulset: dict[str, Any], pods: list[dict[str, Any]], expected: list[str]) -> None:
    assert decide(statefulset, *pods) == expected


def test_a_pod_has_the_identity_of_its_place() -> None:
    made = make_pod(make_set(), make_set()["spec"]["template"], "db-abc", 4)
    assert made["metadata"]["name"] == made["spec"]["hostname"] == "db-4"
    assert made["metadata"]["labels"] == {
        "app": "db",
        "statefulset.kubernetes.io/pod-name": "db-4",
        "apps.kubernetes.io/pod-index": "4",
        "controller-revision-hash": "db-abc",
    }
    assert made["spec"]["subdomain"] == "db"
    assert made["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "data-db-4"


@pytest.mark.parametrize(
    ("name", "expected"), [("db-0", 0), ("db-12", 12), ("db-01", None), ("x-db-1", None), ("db", None)]
)
def test_the_ordinal_is_in_the_name(name: str, expected: int | None) -> None:
    assert ordinal_of(make_set(), {"metadata": {"name": name}}) == expected


@pytest.mark.parametrize(
    ("policy", "condemned", "expected"),
    [
        ({}, True, []),
        ({"whenDeleted": "Delete", "whenScaled": "Retain"}, True, ["StatefulSet"]),
        ({"whenDeleted": "Retain", "whenScaled": "Delete"}, True, ["Pod"]),
        ({"whenDeleted": "Retain", "whenScaled": "Delete"}, False, []),
        ({"whenDeleted": "Delete", "whenScaled": "Delete"}, False, ["StatefulSet"]),
    ],
)
def test_the_retention_policy_says_who_owns_a_claim(
    policy: dict[str, str], condemned: bool, expected: list[str]
) -> None:
    statefulset = make_set(persistentVolumeClaimRetentionPolicy=policy)
    victim = {"metadata": {"name": "db-1", "uid": "p1"}}
    claim = {"metadata": {"name": "data-db-1"}}
    assert [o["kind"] for o in claim_owners(statefulset, claim, victim, condemned=condemned)] == expected


def owner(kind: str, name: str, uid: str, **more: Any) -> dict[str, Any]:
    api_version = "apps/v1" if kind == "StatefulSet" else "v1"
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, **more}


OURS = owner("StatefulSet", "db", "s1", controller=True, blockOwnerDeletion=True)
OTHER = owner("ConfigMap", "x", "c1")
RIVAL = owner("StatefulSet", "other", "s9", controller=True)
EARLIER = owner("StatefulSet", "db", "s0", controller=True)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ([], [OURS]),
        ([owner("StatefulSet", "db", "s1")], [OURS]),
        ([OTHER], [OTHER, OURS]),
        ([RIVAL], [RIVAL]),
        ([EARLIER], [EARLIER]),
        ([OURS, RIVAL], [RIVAL]),
    ],
)
def test_a_claim_that_something_else_controls_is_left_to_it(
    present: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    statefulset = make_set(persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete"})
    claim = {"metadata": {"name": "data-db-1", "ownerReferences": present}}
    assert claim_owners(statefulset, claim, {"metadata": {"name": "db-1", "uid": "p1"}}, condemned=False) == expected


def images(loops: Any) -> list[str]:
    return [p["spec"]["containers"][0]["image"] for p in loops.api.all(POD)]


async def rounds(loops: Any, count: int) -> None:
    for _ in range(count):
        await loops.run_pods()


def test_pods_and_claims_come_in_order_and_claims_outlive_them(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(STATEFUL_SET, make_set(3))
        await loops.settle()
        assert [p["metadata"]["name"] for p in loops.api.all(POD)] == ["db-0"]
        await rounds(loops, 3)
        assert [p["metadata"]["name"] for p in loops.api.all(POD)] == ["db-0", "db-1", "db-2"]
        claims = [c["metadata"]["name"] for c in loops.api.all(PERSISTENT_VOLUME_CLAIM)]
        assert claims == ["data-db-0", "data-db-1", "data-db-2"]
        status = loops.api.one(STATEFUL_SET, "db")["status"]
        assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (3, 3, 3)
        assert status["currentRevision"] == status["updateRevision"]
        loops.api.edit(STATEFUL_SET, "db", lambda s: s["spec"].update(replicas=1))
        await loops.settle()
        await rounds(loops, 4)
        assert [p["metadata"]["name"] for p in loops.api.all(POD)] == ["db-0"]
        assert len(loops.api.all(PERSISTENT_VOLUME_CLAIM)) == 3

    loops.run([StatefulSetController], scenario)
    assert "SuccessfulCreate: create Pod db-0 in StatefulSet db successful" in loops.api.events()
    assert "SuccessfulDelete: delete Pod db-2 in StatefulSet db successful" in loops.api.events()


def test_a_rolling_update_goes_from_the_top_and_undo_reuses_the_revision(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(STATEFUL_SET, make_set(2))
        await loops.settle()
        await rounds(loops, 3)
        loops.api.edit(STATEFUL_SET, "db", lambda s: s["spec"]["template"]["spec"]["containers"][0].update(image="v2"))
        await loops.settle()
        assert "deletionTimestamp" in loops.api.one(POD, "db-1")["metadata"]
        await rounds(loops, 2)
        assert images(loops) == ["v1", "v2"]
        assert loops.api.one(STATEFUL_SET, "db")["status"]["updatedReplicas"] == 1
        await rounds(loops, 4)
        assert images(loops) == ["v2", "v2"]
        status = loops.api.one(STATEFUL_SET, "db")["status"]
        assert (status["currentRevision"], status["currentReplicas"]) == (status["updateRevision"], 2)
        loops.api.edit(STATEFUL_SET, "db", lambda s: s["spec"]["template"]["spec"]["containers"][0].update(image="v1"))
        await loops.settle()
        await rounds(loops, 6)
        assert images(loops) == ["v1", "v1"]
        revisions = loops.api.all(CONTROLLER_REVISION)
        assert sorted(r["revision"] for r in revisions) == [2, 3]
        assert all("controller.kubernetes.io/hash" in r["metadata"]["labels"] for r in revisions)

    loops.run([StatefulSetController], scenario)


def test_a_settled_set_writes_nothing(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(STATEFUL_SET, make_set(2))
        await loops.settle()
        await rounds(loops, 3)
        calls = len(loops.api.calls)
        await loops.settle(7200)
        assert len(loops.api.calls) == calls

    loops.run([StatefulSetController], scenario)
