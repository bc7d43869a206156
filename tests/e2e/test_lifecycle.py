"""From nothing to a cluster and back, without a trace; and the hosts and inputs that cannot work."""

import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from real_cluster import NOTES, Cluster, eventually

pytestmark = pytest.mark.e2e


def traces(*data_dirs: Path) -> dict[str, list[str]]:
    """What these clusters could leave on this machine."""

    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    mounts = Path("/proc/mounts").read_text().splitlines()
    return {
        "processes": [p for p in _commands() if "containerd-shim" in p or any(str(d) in p for d in data_dirs)],
        "mounts": [m for m in mounts if "kajitori" in m or "cluster" in m.split()[1] or "/run/netns/cni-" in m],
        "links": [link for link in lines("ip", "-o", "link") if "kajitori" in link or "veth" in link],
        "tables": [table for table in lines("nft", "list", "tables") if "kajitori" in table],
        "namespaces": [n for n in lines("ip", "netns") if "kajitori" in n or n.startswith("cni-")],
        "cgroups": [str(p) for p in Path("/sys/fs/cgroup").glob("*/*") if p.name.startswith(("kubepods", "kajitori"))],
    }


def _commands() -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        # Not the tests themselves; a data directory may well lie below a folder that pytest named.
        if not any(Path(word).name == "pytest" for word in words):
            found.append(" ".join(words))
    return found


NOTHING = {"processes": [], "mounts": [], "links": [], "tables": [], "namespaces": [], "cgroups": []}


@pytest.fixture
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Cluster:
    """A data directory on a host that runs no cluster: the suite's own is taken down before this file's tests."""
    return Cluster(tmp_path / "data")


def test_a_running_cluster_refuses_a_second_one(cluster: Cluster, tmp_path: Path) -> None:
    again = cluster.run("kajitori", "up", check=False)
    assert again.returncode == 1
    assert "already running" in again.stderr
    other = Cluster(tmp_path, port=7443, http_port=7080, https_port=7444)
    second = other.run(
        "kajitori", "up", "--detach", "--port=7443", "--http-port=7080", "--https-port=7444", check=False
    )
    assert second.returncode == 1
    assert str(cluster.data_dir) in second.stderr
    taken = other.run("kajitori", "up", "--nodes=0", f"--port={cluster.port}", check=False)
    assert taken.returncode == 1
    assert f"port {cluster.port}" in taken.stderr
    assert "--port" in taken.stderr


def test_a_data_directory_of_another_version_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "cluster.json"
    record.write_text(json.dumps({"format": 99}))
    result = Cluster(tmp_path).run("kajitori", "up", "--nodes=0", "--port=7443", check=False)
    assert result.returncode == 1
    assert "format 99" in result.stderr
    assert json.loads(record.read_text()) == {"format": 99}


def test_the_control_plane_alone_needs_no_root(tmp_path: Path) -> None:
    """In a user namespace without root, in memory, on any port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cluster = Cluster(tmp_path / "data", port=port)
    nobody = ("unshare", "--user", "kajitori")
    with_nodes = cluster.run(*nobody, "up", check=False)
    assert with_nodes.returncode == 1
    assert "real nodes need root" in with_nodes.stderr
    assert "--nodes 0" in with_nodes.stderr
    cluster.run(*nobody, "up", "--nodes=0", "--store=memory", f"--port={port}", "--detach", "--wait")
    try:
        cluster.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
        eventually(lambda: len(cluster.pods("app=web", "default")) == 2, "two pods")
        assert cluster.status()["healthy"]
    finally:
        cluster.run(*nobody, "down", "--purge")
    assert not cluster.data_dir.exists()


class TestLast:
    """These need the host for themselves, so they take the suite's cluster down."""

    @pytest.fixture(autouse=True)
    def free_host(self, cluster: Cluster) -> None:
        if cluster.data_dir.exists():
            cluster.down("--purge")
        assert traces(cluster.data_dir) == NOTHING

    def test_purge_leaves_nothing_and_up_works_again(self, alone: Cluster) -> None:
        alone.up()
        try:
            alone.run(str(NOTES / "demo.sh"))
            alone.down()
            alone.up()
            eventually(lambda: alone.fetch("/whoami")[0] == 200, "the application after down and up", 120)
        finally:
            alone.down("--purge")
        assert traces(alone.data_dir) == NOTHING
        assert not alone.data_dir.exists()

    def test_a_killed_supervisor_leaves_containers_and_up_adopts_them(self, alone: Cluster) -> None:
        alone.up()
        try:
            alone.run(str(NOTES / "demo.sh"))
            before = containers(alone)
            os.kill(int((alone.data_dir / "lock").read_text().removeprefix("pid ")), signal.SIGKILL)
            eventually(lambda: not alone.status()["running"], "the lock is free")
            assert alone.fetch("/whoami")[0] == 200
            alone.up()
            eventually(lambda: alone.status()["healthy"], "a healthy cluster")
            assert containers(alone) == before
            assert alone.fetch("/whoami")[0] == 200
        finally:
            alone.down("--purge")
        assert traces(alone.data_dir) == NOTHING

    def test_a_start_without_prospect_is_given_up_and_stopped(self, alone: Cluster, tmp_path: Path) -> None:
        """containerd says its version and then does not start."""
        real = shutil.which("containerd")
        fake = tmp_path / "bin" / "containerd"
        fake.parent.mkdir()
        fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec {real} --version\necho no luck today >&2\nexit 1\n')
        fake.chmod(0o755)
        path = alone.environment["PATH"]
        alone.environment["PATH"] = f"{fake.parent}:{path}"
        result = alone.kajitori("up", "--detach", "--wait", check=False)
        alone.environment["PATH"] = path
        try:
            assert result.returncode == 1
            last = result.stderr.splitlines()[-1]
            assert last.startswith("kajitori: node-1 ended 5 times before it was ready")
            assert "no luck today" in last
            assert not alone.status()["running"]
            assert not traces(alone.data_dir)["processes"]
            alone.up()
        finally:
            alone.down("--purge")
        assert traces(alone.data_dir) == NOTHING

    def test_in_the_foreground_ctrl_c_stops_the_containers_too(self, alone: Cluster) -> None:
        command = ["kajitori", "up", "--wait"]
        with subprocess.Popen(command, env=alone.environment, stderr=subprocess.PIPE, text=True) as foreground:
            assert foreground.stderr is not None
            try:
                assert any("Ctrl-C" in line for line in iter(foreground.stderr.readline, ""))
            finally:
                foreground.send_signal(signal.SIGINT)
            assert foreground.wait(30) == 0
        assert not traces(alone.data_dir)["processes"]
        alone.down("--purge")
        assert traces(alone.data_dir) == NOTHING

    def test_ports_that_others_have_are_named(self, alone: Cluster) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
            resolver.bind(("0.0.0.0", 53))
            result = alone.kajitori("up", check=False)
        assert result.returncode == 1
        assert "port 53 of the name server is taken" in result.stderr
        with socket.socket() as web:
            web.bind(("0.0.0.0", 80))
            web.listen()
            result = alone.kajitori("up", check=False)
        assert result.returncode == 1
        assert "port 80 of the Ingress (HTTP)" in result.stderr
        assert "--http-port" in result.stderr
        assert not alone.data_dir.exists()

    def test_purging_a_stopped_cluster_leaves_the_running_ones_network(self, alone: Cluster, tmp_path: Path) -> None:
        stopped = Cluster(tmp_path / "stopped")
        stopped.up()
        stopped.down()
        alone.up()
        try:
            stopped.down("--purge")
            assert traces()["tables"] and any("kajitori0" in link for link in traces()["links"])
            assert alone.status()["healthy"]
        finally:
            alone.down("--purge")
        assert traces(alone.data_dir) == NOTHING

    def test_three_nodes(self, alone: Cluster) -> None:
        alone.up("--nodes", "3")
        try:
            alone.run(str(NOTES / "demo.sh"))
            pods = alone.ready_pods("app=web")
            assert {pod["spec"]["nodeName"] for pod in pods.values()} == {"node-1", "node-2", "node-3"}
            assert set(alone.answering()) == set(pods)
            for name in pods:
                for other in pods.values():
                    assert alone.kubectl(
                        "exec", "-n", "notes", name, "--", "node", "-e", fetch(other["status"]["podIP"])
                    )
                answer = alone.kubectl("exec", "-n", "notes", name, "--", "node", "-e", fetch("web", 80))
                assert answer.strip() in pods
        finally:
            alone.down("--purge")
        assert traces(alone.data_dir) == NOTHING


def containers(cluster: Cluster) -> dict[str, list[tuple[str, int]]]:
    """Each pod's containers and how often they were started again."""
    return {
        name: [(status["containerID"], status["restartCount"]) for status in pod["status"]["containerStatuses"]]
        for name, pod in cluster.pods("").items()
    }


def fetch(host: str, port: int = 8080) -> str:
    return f"fetch('http://{host}:{port}/whoami').then(r => r.text()).then(console.log)"
