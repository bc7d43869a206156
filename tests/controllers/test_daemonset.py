from typing import Any

import orjson
import pytest

from kajitori.api.apps import CONTROLLER_REVISION, DAEMON_SET
from kajitori.api.core import NODE, POD
from kajitori.controllers.daemonset.controller import DaemonSetController
from kajitori.controllers.daemonset.placement import fit, make_pod, node_of
from kajitori.controllers.daemonset.plan import plan


def make_set(**spec: Any) -> dict[str, Any]:
    pod_spec = {"containers": [{"name": "c", "image": "v1"}], **spec.pop("pod", {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", "namespace": "default", "uid": "d1"},
        "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": pod_spec},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
            **spec,
        },
    }


def make_node(name: str, *taints: tuple[str, str], **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": k, "effect": e} for k, e in taints]},
    }


def pod(name: str, node: str, digest: str = "new", ready: bool = True, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"controller-revision-hash": digest}, "creationTimestamp": name},
        "spec": {"nodeName": node},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@pytest.mark.parametrize(
    ("template", "node", "expected"),
    [
        ({}, make_node("n"), (True, True)),
        ({"nodeSelector": {"disk": "ssd"}}, make_node("n", disk="hdd"), (False, False)),
        ({"nodeSelector": {"disk": "ssd"}}, make_node("n", disk="ssd"), (True, True)),
        ({}, make_node("n", ("dedicated", "NoSchedule")), (False, True)),
        ({}, make_node("n", ("dedicated", "NoExecute")), (False, False)),
        ({}, make_node("n", ("dedicated", "PreferNoSchedule")), (True, True)),
        ({"tolerations": [{"operator": "Exists"}]}, make_node("n", ("dedicated", "NoExecute")), (True, True)),
        ({}, make_node("n", ("node.kubernetes.io/unreachable", "NoExecute")), (True, True)),
        ({}, make_node("n", ("node.kubernetes.io/unschedulable", "NoSchedule")), (True, True)),
        ({}, make_node("n", ("node.kubernetes.io/network-unavailable", "NoSchedule")), (False, True)),
        ({"hostNetwork": True}, make_node("n", ("node.kubernetes.io/network-unavailable", "NoSchedule")), (True, True)),
    ],
)
def test_where_a_daemon_may_start_and_stay(
    template: dict[str, Any], node: dict[str, Any], expected: tuple[bool, bool]
) -> None:
    assert fit(make_set(pod=template)["spec"]["template"], node) == expected


def test_a_pod_is_tied_to_its_node_by_name() -> None:
    made = make_pod(make_set(), "n7", {})
    assert node_of(made) == "n7"
    assert {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"} in made["spec"][
        "tolerations"
    ]


NODES = [make_node(f"n{i}") for i in range(3)]


def decide(daemonset: dict[str, Any], *pods: dict[str, Any]) -> tuple[list[str], list[str]]:
    todo = plan(daemonset, NODES, pods, "new", 0.0)
    return todo.create, [p["metadata"]["name"] for p in todo.delete]


def test_every_node_without_a_pod_gets_one_and_doubles_go() -> None:
    assert decide(make_set(), pod("a", "n0"), pod("b", "n0")) == (["n1", "n2"], ["b"])


def test_an_ended_pod_is_deleted_before_it_is_replaced() -> None:
    pods = [pod("a", "n0", phase="Failed"), pod("b", "n1"), pod("c", "n2")]
    assert decide(make_set(), *pods) == ([], ["a"])


def test_what_ended_beyond_the_deletions_of_one_round_is_looked_at_in_the_next() -> None:
    nodes = [make_node(f"n{i}") for i in range(300)]
    todo = plan(make_set(), nodes, [pod(f"p{i}", f"n{i}", phase="Failed") for i in range(300)], "new", 0.0)
    assert len(todo.delete) == 250 and todo.ended == todo.delete


def test_an_update_keeps_to_max_unavailable_and_takes_the_broken_first() -> None:
    assert decide(make_set(), pod("a", "n0", "old"), pod("b", "n1", "old"), pod("c", "n2", "old")) == ([], ["a"])
    broken = [pod("a", "n0", "old"), pod("b", "n1", "old", ready=False), pod("c", "n2", "old")]
    assert decide(make_set(), *broken) == ([], ["b"])
    waiting = [pod("a", "n0", ready=False), pod("b", "n1", "old"), pod("c", "n2", "old")]
    assert decide(make_set(), *waiting) == ([], [])


def test_a_surge_starts_the_new_beside_the_old_and_removes_the_old_when_the_new_serves() -> None:
    surging = make_set(updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    old = [pod("a", "n0", "old"), pod("b", "n1", "old"), pod("c", "n2", "old")]
    assert decide(surging, *old) == (["n0"], [])
    assert decide(surging, *old, pod("d", "n0", ready=False)) == ([], [])
    assert decide(surging, *old, pod("d", "n0")) == ([], ["a"])


def test_on_delete_leaves_old_pods_alone() -> None:
    assert decide(
        make_set(updateStrategy={"type": "OnDelete"}), *[pod(n, f"n{i}", "old") for i, n in enumerate("abc")]
    ) == ([], [])


def test_daemons_follow_nodes_and_updates_roll(loops: Any) -> None:
    async def scenario() -> None:
        for name in ("n1", "n2"):
            loops.api.put(NODE, make_node(name))
        loops.api.put(DAEMON_SET, make_set())
        await loops.settle()
        await loops.run_pods()
        status = loops.api.one(DAEMON_SET, "agent")["status"]
        assert status == {
            "currentNumberScheduled": 2,
            "desiredNumberScheduled": 2,
            "numberAvailable": 2,
            "numberMisscheduled": 0,
            "numberReady": 2,
            "observedGeneration": 1,
            "updatedNumberScheduled": 2,
        }
        loops.api.put(NODE, make_node("n3"))
        await loops.settle()
        assert {node_of(p) for p in loops.api.all(POD)} == {"n1", "n2", "n3"}
        await loops.run_pods()
        loops.api.edit(DAEMON_SET, "agent", lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image="v2"))
        await loops.settle()
        assert sum("deletionTimestamp" in p["metadata"] for p in loops.api.all(POD)) == 1
        for _ in range(8):
            await loops.run_pods()
        assert [p["spec"]["containers"][0]["image"] for p in loops.api.all(POD)] == ["v2"] * 3
        first, second = sorted(loops.api.all(CONTROLLER_REVISION), key=lambda r: r["revision"])
        assert (first["revision"], second["revision"]) == (1, 2)
        hashes = {p["metadata"]["labels"]["controller-revision-hash"] for p in loops.api.all(POD)}
        assert hashes == {second["metadata"]["labels"]["controller-revision-hash"]}
        for revision in (first, second):
            data = revision["data"]
            assert orjson.dumps(data) == orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
        calls = len(loops.api.calls)
        await loops.settle(7200)
        assert len(loops.api.calls) == calls
        loops.api.edit(NODE, "n1", lambda n: n["spec"].update(taints=[{"key": "x", "effect": "NoExecute"}]))
        await loops.settle()
        await loops.run_pods()
        assert len(loops.api.all(POD)) == 2

    loops.run([DaemonSetController], scenario)


def test_a_pod_that_keeps_failing_is_remade_ever_more_slowly(loops: Any) -> None:
    async def fail_all() -> None:
        for p in loops.api.all(POD):
            if (p.get("status") or {}).get("phase") != "Failed" and "deletionTimestamp" not in p["metadata"]:
                loops.api.edit(POD, p["metadata"]["name"], lambda o: o["spec"].update(nodeName="n1"))
                loops.finish(p["metadata"]["name"], "Failed", 1)
        await loops.settle()
        for p in loops.api.all(POD):
            if "deletionTimestamp" in p["metadata"]:
                loops.api.remove(POD, p["metadata"]["name"])
        await loops.settle()

    async def scenario() -> None:
        loops.api.put(NODE, make_node("n1"))
        loops.api.put(DAEMON_SET, make_set())
        await loops.settle()
        for _ in range(30):
            await fail_all()
        created = sum(c[:2] == ("create", "pods") for c in loops.api.calls)
        assert 4 <= created <= 7

    loops.run([DaemonSetController], scenario)
