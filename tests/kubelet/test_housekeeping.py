"""Who is evicted, when, and how logs are kept small."""

import asyncio

import pytest
from fake_runtime import FakeRuntime

from kajitori.kit.clock import VirtualClock
from kajitori.kubelet.eviction import Headroom, Pressure, pressure_of, victim
from kajitori.kubelet.log_rotation import is_too_large, rotate
from kajitori.kubelet.node_object import conditions
from kajitori.kubelet.runtime import RuntimeFailure, RuntimeHealth

GIB, MIB = 1024**3, 1024**2


@pytest.mark.parametrize(
    ("headroom", "pressure"),
    [
        (Headroom(GIB, 50 * GIB, 100 * GIB), Pressure()),
        (Headroom(99 * MIB, 50 * GIB, 100 * GIB), Pressure(memory=True)),
        (Headroom(GIB, GIB // 2, 100 * GIB), Pressure(disk=True)),
        (Headroom(GIB, 3 * GIB, 100 * GIB), Pressure()),
        (Headroom(GIB, GIB // 2, 2 * GIB), Pressure()),
    ],
)
def test_pressure_is_little_left(headroom, pressure):
    assert pressure_of(headroom) == pressure


def pod(uid, request="0", priority=0):
    resources = {"requests": {"memory": request}} if request != "0" else {}
    return {
        "metadata": {"uid": uid},
        "spec": {"priority": priority, "containers": [{"name": "c", "resources": resources}]},
    }


def test_who_takes_more_than_asked_for_goes_first():
    pods = [pod("modest", "100Mi"), pod("greedy", "100Mi"), pod("greediest", "100Mi")]
    used = {"modest": 50 * MIB, "greedy": 150 * MIB, "greediest": 300 * MIB}
    assert victim(pods, used)["metadata"]["uid"] == "greediest"


def test_priority_comes_before_excess():
    pods = [pod("important", priority=100), pod("plain")]
    assert victim(pods, {"important": 500 * MIB, "plain": MIB})["metadata"]["uid"] == "plain"


def test_critical_pods_stay():
    assert victim([pod("critical", priority=2_000_000_000)], {"critical": GIB}) is None


def test_pressure_shows_in_the_nodes_conditions():
    found = {c["type"]: c for c in conditions(RuntimeHealth(), Pressure(memory=True), (), 1.8e9)}
    assert (found["MemoryPressure"]["status"], found["MemoryPressure"]["reason"]) == (
        "True",
        "KubeletHasInsufficientMemory",
    )
    assert found["DiskPressure"]["status"] == "False"
    assert found["Ready"]["status"] == "True"


def test_an_unready_network_or_runtime_shows_in_the_ready_condition():
    def message(health):
        found = conditions(health, Pressure(), (), 1.8e9)
        return next(c["message"] for c in found if c["type"] == "Ready")

    assert message(None) == "container runtime is down"
    assert "reason:NetworkPluginNotReady message:no cni" in message(RuntimeHealth(network_problem="no cni"))


class Reopening(FakeRuntime):
    def __init__(self, path):
        super().__init__(VirtualClock())
        self.path = path

    async def reopen_log(self, container_id):
        self._check("reopen_log", container_id)
        self.path.write_text("new")


def test_a_log_is_moved_aside_and_the_oldest_goes(tmp_path):
    path = tmp_path / "0.log"
    runtime = Reopening(path)
    for number in range(4):
        path.write_text(f"old {number}")
        asyncio.run(rotate(path, "c", runtime, 3, 1.8e9 + number))
    assert path.read_text() == "new"
    assert sorted(p.read_text() for p in tmp_path.glob("0.log.*")) == ["old 2", "old 3"]
    assert is_too_large(path, 2)
    assert not is_too_large(tmp_path / "none", 2)


def test_a_log_stays_when_the_runtime_will_not_reopen_it(tmp_path):
    path = tmp_path / "0.log"
    path.write_text("old")
    runtime = Reopening(path)
    runtime.refuse["reopen_log"] = "away"
    with pytest.raises(RuntimeFailure):
        asyncio.run(rotate(path, "c", runtime, 3, 1.8e9))
    assert path.read_text() == "old"
