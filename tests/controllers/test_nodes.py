from typing import Any

import pytest

from kajitori.api.coordination import LEASE
from kajitori.api.core import NODE, POD
from kajitori.api.meta import condition_of
from kajitori.api.times import timestamp
from kajitori.client.interface import Disconnected
from kajitori.controllers.nodes.eviction import TaintEvictionController, evict_at_s
from kajitori.controllers.nodes.health import taints_for
from kajitori.controllers.nodes.ipam import NodeIpamController, free_cidr
from kajitori.controllers.nodes.lifecycle import NodeLifecycleController
from kajitori.controllers.nodes.pod_gc import PodGarbageCollector
from kajitori.controllers.nodes.roles import CONTROL_PLANE_LABEL, NodeRoleController
from kajitori.controllers.settings import Settings

NOW_S = 1_800_000_000.0


def make_node(name: str = "n1", ready: str = "True", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": timestamp(NOW_S)}] if ready else []
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": conditions}}


def make_pod(name: str = "p", node: str = "n1", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [], **spec},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def renew(loops: Any, name: str) -> None:
    lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {"renewTime": str(loops.clock.now())}}
    loops.api.put(LEASE, lease)


def keys(taints: list[dict[str, Any]]) -> list[str]:
    return [f"{t['key'].rpartition('/')[2]}:{t['effect']}" for t in taints]


@pytest.mark.parametrize(
    ("node", "evicting", "expected"),
    [
        (make_node(), True, []),
        (make_node(ready="False"), True, ["not-ready:NoSchedule", "not-ready:NoExecute"]),
        (make_node(ready="Unknown"), True, ["unreachable:NoSchedule", "unreachable:NoExecute"]),
        (make_node(ready="Unknown"), False, ["unreachable:NoSchedule"]),
        (make_node(ready=""), False, ["not-ready:NoSchedule"]),
        (make_node(unschedulable=True), True, ["unschedulable:NoSchedule"]),
        (make_node(taints=[{"key": "mine", "effect": "NoExecute"}]), True, ["mine:NoExecute"]),
        (make_node(taints=[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]), True, []),
    ],
)
def test_taints_follow_conditions(node: dict[str, Any], evicting: bool, expected: list[str]) -> None:
    assert keys(taints_for(node, evicting=evicting, now_s=NOW_S)) == expected


TAINT = {"key": "k", "effect": "NoExecute", "timeAdded": timestamp(NOW_S - 100)}


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], NOW_S),
        ([{"operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 300}], NOW_S + 200),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 0}], NOW_S - 100),
        ([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}], NOW_S),
        ([{"key": "other", "operator": "Exists"}], NOW_S),
    ],
)
def test_when_a_pod_must_leave(tolerations: list[dict[str, Any]], expected: float | None) -> None:
    assert evict_at_s(make_pod(tolerations=tolerations), [TAINT], NOW_S, NOW_S) == expected


def test_a_taint_without_a_time_counts_from_when_it_was_seen(loops: Any) -> None:
    patient = [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]

    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1", taints=[{"key": "k", "effect": "NoExecute"}]))
        loops.api.put(POD, make_pod(tolerations=patient))
        await loops.settle(25)
        assert "deletionTimestamp" not in loops.api.one(POD, "p")["metadata"]
        await loops.settle(10)
        assert "deletionTimestamp" in loops.api.one(POD, "p")["metadata"]

    loops.run([TaintEvictionController], scenario)


def test_networks_are_given_from_the_lowest_without_overlap() -> None:
    assert free_cidr("10.244.0.0/16", 24, []) == "10.244.0.0/24"
    assert free_cidr("10.244.0.0/16", 24, ["10.244.0.0/24", "10.244.2.0/24"]) == "10.244.1.0/24"
    assert free_cidr("10.244.0.0/16", 24, ["10.244.0.0/23"]) == "10.244.2.0/24"
    assert free_cidr("10.244.0.0/24", 24, ["10.244.0.0/24"]) is None


def test_a_silent_node_becomes_unknown_and_comes_back(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        loops.api.put(NODE, make_node("n2"))
        loops.api.put(POD, make_pod())
        for _ in range(10):
            renew(loops, "n1")
            renew(loops, "n2")
            await loops.settle(10)
        assert loops.api.one(NODE, "n1")["spec"] == {}
        for _ in range(5):
            renew(loops, "n2")
            await loops.settle(10)
        ready = condition_of(loops.api.one(NODE, "n1"), "Ready")
        assert ready is not None
        assert (ready["status"], ready["reason"], ready["message"]) == (
            "Unknown",
            "NodeStatusUnknown",
            "Kubelet stopped posting node status.",
        )
        assert keys(loops.api.one(NODE, "n1")["spec"]["taints"]) == ["unreachable:NoSchedule", "unreachable:NoExecute"]
        pod_ready = condition_of(loops.api.one(POD, "p"), "Ready")
        assert pod_ready is not None and pod_ready["status"] == "False"
        renew(loops, "n1")
        loops.api.edit(NODE, "n1", lambda n: n["status"].update(make_node()["status"]))
        await loops.settle()
        assert "taints" not in loops.api.one(NODE, "n1")["spec"]

    loops.run([NodeLifecycleController], scenario)


def test_an_api_server_that_is_away_is_not_held_against_the_nodes(loops: Any) -> None:
    def away(verb: str, resource: Any, obj: Any) -> None:
        raise Disconnected("no answer from 127.0.0.1:6443")

    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        await loops.settle(5)
        loops.api.refuse = away
        await loops.settle(70)
        loops.api.refuse = lambda *_: None
        await loops.settle(9)
        renew(loops, "n1")
        await loops.settle(30)
        ready = condition_of(loops.api.one(NODE, "n1"), "Ready")
        assert ready is not None and ready["status"] == "True"

    loops.run([NodeLifecycleController], scenario)


def test_pods_leave_a_lost_node_when_their_patience_ends(loops: Any) -> None:
    patient = [
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    ]

    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        loops.api.put(NODE, make_node("n2"))
        loops.api.put(POD, make_pod("patient", tolerations=patient))
        loops.api.put(POD, make_pod("hasty"))
        loops.api.put(POD, make_pod("daemon", tolerations=[{"operator": "Exists"}]))
        for _ in range(10):
            renew(loops, "n2")
            await loops.settle(10)
        assert "deletionTimestamp" in loops.api.one(POD, "hasty")["metadata"]
        assert "deletionTimestamp" not in loops.api.one(POD, "patient")["metadata"]
        for _ in range(30):
            renew(loops, "n2")
            await loops.settle(10)
        patient_pod = loops.api.one(POD, "patient")
        assert "deletionTimestamp" in patient_pod["metadata"]
        target = condition_of(patient_pod, "DisruptionTarget")
        assert target is not None and target["reason"] == "DeletionByTaintManager"
        assert "deletionTimestamp" not in loops.api.one(POD, "daemon")["metadata"]

    loops.run([NodeLifecycleController, TaintEvictionController], scenario)


def test_nobody_is_evicted_when_no_node_at_all_is_ready(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        loops.api.put(POD, make_pod("hasty"))
        await loops.settle(1000)
        assert keys(loops.api.one(NODE, "n1")["spec"]["taints"]) == ["unreachable:NoSchedule"]
        assert "deletionTimestamp" not in loops.api.one(POD, "hasty")["metadata"]

    loops.run([NodeLifecycleController, TaintEvictionController], scenario)


def test_every_node_gets_its_own_network(loops: Any) -> None:
    async def scenario() -> None:
        for name in ("n1", "n2"):
            loops.api.put(NODE, make_node(name))
        await loops.settle()
        given = [n["spec"] for n in loops.api.all(NODE)]
        assert sorted(spec["podCIDR"] for spec in given) == ["10.244.0.0/24", "10.244.1.0/24"]
        assert all(spec["podCIDRs"] == [spec["podCIDR"]] for spec in given)

    loops.run([NodeIpamController], scenario)


def test_a_node_of_the_control_planes_machine_is_labelled_once(loops: Any) -> None:
    def labels(name: str) -> dict[str, str]:
        return loops.api.one(NODE, name)["metadata"].get("labels") or {}  # type: ignore[no-any-return]

    async def scenario() -> None:
        for name in ("n1", "n2"):
            loops.api.put(NODE, make_node(name))
        await loops.settle()
        assert (labels("n1"), labels("n2")) == ({CONTROL_PLANE_LABEL: ""}, {})
        loops.api.edit(NODE, "n1", lambda node: node["metadata"].pop("labels"))
        await loops.settle()
        assert labels("n1") == {}

    loops.run([NodeRoleController], scenario, settings=Settings(control_plane_nodes=("n1",)))


def test_pods_of_a_node_that_is_gone_are_removed_after_the_quarantine(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        loops.api.put(POD, make_pod("lost"))
        await loops.settle()
        loops.api.remove(NODE, "n1")
        await loops.settle(30)
        assert len(loops.api.all(POD)) == 1
        await loops.settle(15)
        assert loops.api.all(POD) == []

    loops.run([PodGarbageCollector], scenario)


def test_ended_pods_beyond_the_limit_go_oldest_first(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        for number in range(4):
            pod = make_pod(f"p{number}")
            pod["status"]["phase"] = "Succeeded"
            loops.api.put(POD, pod)
        await loops.settle()
        assert [p["metadata"]["name"] for p in loops.api.all(POD)] == ["p2", "p3"]

    loops.run([PodGarbageCollector], scenario, Settings(terminated_pods_max=2))
