"""Hosts, folders and inputs that cannot work: one clear line each, and nothing lost. These need no nodes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_cluster import Cluster, eventually

pytestmark = pytest.mark.e2e


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ControlPlane(Cluster):
    """`up --nodes 0` on a port of its own."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, port=free_port())
        self.options = ("up", "--nodes=0", f"--port={self.port}")

    def start(self, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.kajitori(*self.options, "--detach", "--wait", *options, check=check)

    def refusal(self, *arguments: str) -> str:
        """The one line of a command that fails."""
        result = self.kajitori(*arguments, check=False)
        assert result.returncode == 1, result
        lines = result.stderr.splitlines()
        assert lines[-1].startswith("kajitori: "), result.stderr
        assert "Traceback" not in result.stderr
        return lines[-1]

    @property
    def supervisor(self) -> int:
        return int((self.data_dir / "lock").read_text().removeprefix("pid "))


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path / "data")
    yield plane
    plane.kajitori("down", "--purge", check=False)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("command", [("status",), ("down",), ("kubectl", "get", "pods"), ("image", "load", __file__)])
def test_commands_without_a_cluster_say_that_there_is_none(plane: ControlPlane, command: tuple[str, ...]) -> None:
    assert f"there is no cluster in {plane.data_dir}" in plane.refusal(*command)


def test_a_stopped_cluster_is_told_from_none(plane: ControlPlane) -> None:
    plane.start()
    plane.down()
    plane.down()
    status = plane.kajitori("status", check=False)
    assert status.returncode == 1
    assert "stopped" in status.stdout
    assert "is not running: start it with `kajitori up`" in plane.refusal("image", "load", __file__)


def test_images_need_a_node(plane: ControlPlane) -> None:
    plane.start()
    assert "has no nodes to load images into" in plane.refusal("image", "load", __file__)


def test_the_store_cannot_be_exchanged(plane: ControlPlane) -> None:
    plane.start()
    plane.down()
    assert "keeps its objects in sqlite" in plane.refusal(*plane.options, "--store=memory")


def test_a_store_that_does_not_answer_ends_the_start(plane: ControlPlane) -> None:
    refusal = plane.refusal(*plane.options, "--detach", "--wait", f"--store=etcd://127.0.0.1:{free_port()}")
    assert "apiserver ended 5 times before it was ready" in refusal
    assert "etcd 127.0.0.1" in refusal
    assert not plane.status()["running"]


def test_a_killed_supervisor_takes_its_parts_along_and_up_works_at_once(plane: ControlPlane) -> None:
    plane.start()
    plane.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    parts = [part["pid"] for part in plane.status()["parts"]]
    os.kill(plane.supervisor, signal.SIGKILL)
    plane.start()
    assert not any(runs(pid) for pid in parts)
    assert plane.get("configmap", "kept")["data"] == {"a": "b"}
    assert plane.status()["healthy"]


def test_purge_after_a_killed_supervisor_leaves_nothing(plane: ControlPlane) -> None:
    plane.start()
    parts = [part["pid"] for part in plane.status()["parts"]]
    os.kill(plane.supervisor, signal.SIGKILL)
    plane.down("--purge")
    assert not plane.data_dir.exists()
    assert not any(runs(pid) for pid in parts)


def test_in_the_foreground_a_signal_stops_everything(plane: ControlPlane) -> None:
    command = ["kajitori", *plane.options, "--wait"]
    with subprocess.Popen(command, env=plane.environment, stderr=subprocess.PIPE, text=True) as foreground:
        assert foreground.stderr is not None
        lines = iter(foreground.stderr.readline, "")
        assert any("Ctrl-C" in line for line in lines)
        parts = [part["pid"] for part in plane.status()["parts"]]
        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(20) == 0
    assert not any(runs(pid) for pid in parts)
    assert not plane.status()["running"]


def test_the_supervisor_ends_its_parts_and_they_are_replaced_when_killed(plane: ControlPlane) -> None:
    plane.start()
    first = plane.part_pid("controllers")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: plane.status()["healthy"] and plane.part_pid("controllers") != first, "controllers again", 20)
    parts = [part["pid"] for part in plane.status()["parts"]]
    supervisor = plane.supervisor
    os.kill(supervisor, signal.SIGTERM)
    eventually(lambda: not any(map(runs, [supervisor, *parts])), "every process has ended", 15)


def test_folders_of_others_are_left_alone(plane: ControlPlane) -> None:
    plane.data_dir.mkdir()
    (plane.data_dir / "thesis.txt").write_text("mine")
    assert "thesis.txt" in plane.refusal(*plane.options)
    assert "no cluster in" in plane.refusal("down", "--purge")
    assert (plane.data_dir / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("file", "content"), [("cluster.json", "{"), ("pki/ca.crt", "x"), ("pki/sa.key", "x"), ("pki/ca.key", None)]
)
def test_a_broken_file_is_named_and_purge_still_works(plane: ControlPlane, file: str, content: str | None) -> None:
    plane.start()
    plane.down()
    if content is None:
        (plane.data_dir / file).unlink()
    else:
        (plane.data_dir / file).write_text(content)
    assert str(plane.data_dir / file) in plane.refusal(*plane.options)
    plane.down("--purge")
    assert not plane.data_dir.exists()


def test_a_full_disk_is_named_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    scenario = Path(__file__).with_name("disk_full_cluster.py")
    command = ["unshare", "--mount", sys.executable, str(scenario), str(tmp_path), str(free_port())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "kept\n"), done.stderr


def test_programs_that_are_missing_or_too_old_are_named_with_their_package(plane: ControlPlane, tmp_path: Path) -> None:
    old = tmp_path / "bin"
    old.mkdir()
    (old / "containerd").write_text("#!/bin/sh\necho containerd containerd.io 1.2.3\n")
    (old / "nft").write_text("#!/bin/sh\nexit 1\n")
    for program in old.iterdir():
        program.chmod(0o755)
    plane.environment["PATH"] = f"{old}:{plane.environment['PATH']}"
    result = plane.kajitori("up", f"--port={plane.port}", "--http-port=7080", "--https-port=7443", check=False)
    assert result.returncode == 1
    assert "containerd: 1.2.3 at" in result.stderr
    assert "install containerd 1.6 or newer" in result.stderr
    assert "apt-get install --reinstall nftables" in result.stderr
    assert not plane.data_dir.exists()


def test_the_loops_and_the_scheduler_run_alone_on_any_server(plane: ControlPlane) -> None:
    """Nothing but a kubeconfig, from a folder that has no cluster."""
    plane.start("--disable=controllers,scheduler")
    plane.kubectl("create", "deployment", "web", "--image=web:1")
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    plane.kubectl("create", "-f", "-", stdin=json.dumps(node))
    resources = {"cpu": "1", "memory": "1Gi", "pods": "10"}
    status = {"capacity": resources, "allocatable": resources, "conditions": [{"type": "Ready", "status": "True"}]}
    plane.kubectl("patch", "node", "n", "--subresource=status", "-p", json.dumps({"status": status}))
    plane.kubectl("create", "serviceaccount", "default", check=False)
    kubeconfig = f"--kubeconfig={plane.data_dir / 'kubeconfig'}"
    parts = []
    try:
        for part, options in (("controllers", ["--disable=scheduler"]), ("scheduler", [])):
            elsewhere = f"--data-dir={plane.data_dir.parent / part}"
            parts.append(
                subprocess.Popen(
                    ["kajitori", part, kubeconfig, elsewhere, *options],
                    env=plane.environment,
                    stderr=subprocess.DEVNULL,
                )
            )
        eventually(lambda: plane.pods("app=web", "default"), "a pod of the deployment", 20)

        def bound() -> bool:
            return all(pod["spec"].get("nodeName") == "n" for pod in plane.pods("app=web", "default").values())

        eventually(bound, "the pod is bound to the only node", 20)
        assert all(part.poll() is None for part in parts)
    finally:
        for process in parts:
            process.terminate()
        assert [process.wait(20) for process in parts] == [0] * len(parts)


def test_simulated_nodes_run_a_deployment_and_finish_a_job(plane: ControlPlane) -> None:
    plane.start("--simulated-nodes=50")
    assert plane.status()["healthy"]
    plane.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=100")
    plane.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
    pods = plane.pods("app=web", "default").values()
    assert len({pod["status"]["podIP"] for pod in pods}) == 100
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 50
    plane.kubectl("create", "job", "once", "--image=once:1")
    plane.kubectl("wait", "--for=condition=complete", "job/once", "--timeout=180s")
    plane.kubectl("delete", "deployment", "web")
    eventually(lambda: not plane.pods("app=web", "default"), "the pods are gone")
