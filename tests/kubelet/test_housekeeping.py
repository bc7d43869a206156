"""Who is evicted, when, and how logs are kept small."""

import asyncio
from types import SimpleNamespace

import pytest
from fake_runtime import FakeRuntime

from kajitori.kit.clock import VirtualClock
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd_config import ContainerdConfig
from kajitori.kubelet.disk_limits import excess, is_limited, sizes
from kajitori.kubelet.eviction import Headroom, Pressure, pressure_of, victim
from kajitori.kubelet.housekeeping import Housekeeping
from kajitori.kubelet.log_rotation import is_too_large, rotate
from kajitori.kubelet.node_object import conditions
from kajitori.kubelet.pod_state import PodState
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


def writer(limit="", size_limit="", medium=""):
    volume = {"name": "v", "emptyDir": {"sizeLimit": size_limit, "medium": medium}}
    limits = {"limits": {"ephemeral-storage": limit}} if limit else {}
    return {
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"containers": [{"name": "c", "resources": limits}, {"name": "other"}], "volumes": [volume]},
    }


@pytest.mark.parametrize(
    ("pod", "of_container", "of_volume", "why"),
    [
        (writer("5Mi"), 4 * MIB, 0, ""),
        (writer("5Mi"), 6 * MIB, 0, "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "),
        (writer("5Mi"), 0, 6 * MIB, "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "),
        (writer(size_limit="1Mi"), 9 * MIB, 2 * MIB, 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". '),
        (writer(size_limit="1Mi", medium="Memory"), 0, 2 * MIB, ""),
        (writer(), 9 * MIB, 9 * MIB, ""),
    ],
)
def test_who_writes_more_than_allowed_goes(pod, of_container, of_volume, why):
    assert excess(pod, {"c": of_container}, {"v": of_volume}) == why


def test_one_container_may_be_over_its_limit_while_the_pod_is_not():
    pod = writer("1Mi")
    pod["spec"]["containers"][1]["resources"] = {"limits": {"ephemeral-storage": "9Mi"}}
    assert excess(pod, {"c": 2 * MIB, "other": 0}, {}) == (
        'Container c exceeded its local ephemeral storage limit "1Mi". '
    )


def test_only_pods_with_limits_are_measured():
    assert is_limited(writer("5Mi")) and is_limited(writer(size_limit="1Mi"))
    assert not is_limited(writer()) and not is_limited(writer(size_limit="1Mi", medium="Memory"))


def test_sizes_count_the_files_below(tmp_path):
    (tmp_path / "v" / "deep").mkdir(parents=True)
    (tmp_path / "v" / "deep" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "v" / "link").symlink_to("/usr")
    found = sizes(tmp_path, ("v", "missing"))
    assert 100_000 <= found["v"] < 200_000 and found["missing"] == 0


def test_the_pod_that_wrote_too_much_is_evicted_at_the_next_beat(tmp_path):
    containerd = ContainerdConfig(root=tmp_path, state=tmp_path, cni_conf_dir=tmp_path)
    config = KubeletConfig(node_name="n", node_ip="10.0.0.1", root_dir=tmp_path, containerd=containerd)
    volume = config.pod_dir("u") / "volumes" / "kubernetes.io~empty-dir" / "v"
    volume.mkdir(parents=True)
    (volume / "file").write_bytes(b"x" * 2 * MIB)
    told, stopped = [], []
    worker = SimpleNamespace(
        state=PodState(writer(size_limit="1Mi")),
        tell=lambda *words: told.append(words),
        stop=stopped.append,
    )
    clock = VirtualClock()
    asyncio.run(Housekeeping(config, FakeRuntime(clock), clock, lambda: [worker])._hold_to_limits())
    assert told == [("Warning", "Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ')]
    assert [end.reason for end in stopped] == ["Evicted"]


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
