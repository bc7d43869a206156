"""The example application on a real cluster, through what an operator does to it and what fate does.

Every test finds and leaves three ready web pods and a database.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_cluster import Cluster, Load, eventually

pytestmark = pytest.mark.e2e

WEB, DATABASE = "app=web", "app=database"


def settle(notes: Cluster, replicas: int = 3) -> None:
    """Wait until exactly so many web pods exist, are ready, and answer."""

    def ready() -> bool:
        return len(notes.ready_pods(WEB)) == replicas == len(notes.pods(WEB))

    eventually(ready, f"{replicas} ready web pods", 120)
    eventually(lambda: set(notes.answering()) == set(notes.ready_pods(WEB)), "answers from exactly these", 30)


@pytest.fixture(autouse=True)
def three_ready(notes: Cluster) -> Iterator[None]:
    settle(notes)
    yield
    settle(notes)


def restarts(pod: dict[str, Any]) -> int:
    return pod["status"]["containerStatuses"][0]["restartCount"]


def processes(pod: dict[str, Any]) -> list[int]:
    """The pids, on the host, of a pod's first container, its main process first."""
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if container in (process / "cgroup").read_text():
                found.append(int(process.name))
    return sorted(found)


def test_the_page_shows_a_row_and_every_replica_serves(notes: Cluster) -> None:
    status, _ = notes.fetch("/notes", body="text=land+ahoy")
    assert status == 303
    for tls in (False, True):
        status, page = notes.fetch("/", tls=tls)
        assert status == 200
        assert "land ahoy" in page
    answers = notes.answering(60)
    assert set(answers) == set(notes.ready_pods(WEB))
    assert min(answers.values()) >= 5
    assert notes.get("ingress", "notes", "-n", "notes")["status"]["loadBalancer"]["ingress"][0]["ip"]


def test_a_killed_process_is_restarted_and_counted(notes: Cluster) -> None:
    name, pod = next(iter(notes.ready_pods(WEB).items()))
    os.kill(processes(pod)[0], signal.SIGKILL)
    eventually(lambda: restarts(notes.pods(WEB)[name]) == restarts(pod) + 1, "one restart more", 60)
    eventually(lambda: name in notes.ready_pods(WEB), f"{name} ready again", 60)
    row = next(row for row in notes.kubectl("get", "pods", "-n", "notes").splitlines() if row.startswith(name))
    assert row.split()[3] == str(restarts(pod) + 1)
    assert "notes listens" in notes.kubectl("logs", "-n", "notes", name, "--previous")
    terminated = notes.pods(WEB)[name]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert terminated["exitCode"] == 137


def test_a_deleted_pod_is_replaced_and_never_served_from(notes: Cluster) -> None:
    name, pod = next(iter(notes.ready_pods(WEB).items()))
    with Load(notes) as load:
        notes.kubectl("delete", "pod", "-n", "notes", name)
        eventually(lambda: len(notes.ready_pods(WEB)) == 3, "a replacement", 60)
    assert load.failures == []
    addresses = {p["status"]["podIP"] for p in notes.ready_pods(WEB).values()}
    assert pod["status"]["podIP"] not in addresses
    slices = notes.get("endpointslices", "-n", "notes", "-l", "kubernetes.io/service-name=web")["items"]
    assert {a for s in slices for e in s["endpoints"] for a in e["addresses"]} == addresses


def test_the_database_survives_its_pod(notes: Cluster) -> None:
    assert notes.fetch("/notes", body="text=kept")[0] == 303
    before = notes.ready_pods(DATABASE)["database-0"]["metadata"]["uid"]
    notes.kubectl("delete", "pod", "-n", "notes", "database-0")

    def replaced() -> bool:
        return notes.ready_pods(DATABASE).get("database-0", {"metadata": {"uid": before}})["metadata"]["uid"] != before

    eventually(replaced, "another database-0, ready", 90)
    eventually(lambda: "kept" in notes.fetch("/")[1], "the note written before", 60)


def test_scaling_up_and_down(notes: Cluster) -> None:
    for replicas in (6, 2, 3):
        notes.kubectl("scale", "-n", "notes", "deployment/web", f"--replicas={replicas}")
        settle(notes, replicas)


def test_a_rolling_update_loses_no_request(notes: Cluster) -> None:
    before = set(notes.ready_pods(WEB))
    with Load(notes) as load:
        eventually(lambda: sum(load.answers.values()) > 50, "load", 30)
        notes.kubectl("set", "env", "-n", "notes", "deployment/web", f"ROUND={os.getpid()}")
        notes.kubectl("rollout", "status", "-n", "notes", "deployment/web", "--timeout=180s")
        settle(notes)
    assert load.failures == []
    after = set(notes.ready_pods(WEB))
    assert not before & after
    assert set(load.answers) >= before | after


def test_a_bad_image_stops_the_rollout_and_undo_heals_it(notes: Cluster) -> None:
    before = set(notes.ready_pods(WEB))
    with Load(notes) as load:
        notes.kubectl("set", "image", "-n", "notes", "deployment/web", "web=no-such-image:1")

        def stuck() -> bool:
            return "ImagePullBackOff" in notes.kubectl("get", "pods", "-n", "notes")

        eventually(stuck, "ImagePullBackOff", 60)
        assert before <= set(notes.ready_pods(WEB))
        assert "no-such-image:1" in notes.kubectl("events", "-n", "notes", "--types=Warning")
        notes.kubectl("rollout", "undo", "-n", "notes", "deployment/web")
        notes.kubectl("rollout", "status", "-n", "notes", "deployment/web", "--timeout=120s")
        settle(notes)
    assert load.failures == []
    assert set(notes.ready_pods(WEB)) == before


def test_a_changed_configmap_reaches_the_file_without_a_restart(notes: Cluster) -> None:
    before = notes.ready_pods(WEB)
    patch = '{"data":{"settings.json":"{\\"title\\":\\"Logbook\\",\\"greeting\\":\\"Changed while running.\\"}"}}'
    try:
        notes.kubectl("patch", "configmap", "notes-settings", "-n", "notes", "--type=merge", "-p", patch)
        eventually(lambda: all("Logbook" in notes.fetch("/settings")[1] for _ in range(12)), "the new title", 90)
        after = notes.ready_pods(WEB)
        assert {n: restarts(p) for n, p in after.items()} == {n: restarts(p) for n, p in before.items()}
    finally:
        notes.kubectl("apply", "-f", "examples/notes/manifests/settings.yaml")
    eventually(lambda: all("Notes" in notes.fetch("/settings")[1] for _ in range(12)), "the old title", 90)


@pytest.mark.parametrize("part", ["apiserver", "controllers", "node-1", "containerd"])
def test_a_killed_part_comes_back_while_traffic_flows(notes: Cluster, part: str) -> None:
    pods = {name: restarts(pod) for name, pod in notes.ready_pods(WEB).items()}
    objects = everything(notes)
    with Load(notes) as load:
        eventually(lambda: sum(load.answers.values()) > 50, "load", 30)
        pid = containerd_pid(notes) if part == "containerd" else notes.part_pid(part)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: notes.status()["healthy"], "a healthy cluster", 60)
        notes.kubectl("scale", "-n", "notes", "deployment/web", "--replicas=4")
        settle(notes, 4)
        notes.kubectl("scale", "-n", "notes", "deployment/web", "--replicas=3")
        settle(notes)
    assert load.failures == []
    survivors = {name: restarts(pod) for name, pod in notes.ready_pods(WEB).items() if name in pods}
    assert len(survivors) >= 2
    assert survivors.items() <= pods.items()
    assert everything(notes) == objects


def everything(notes: Cluster) -> set[str]:
    """Every lasting object of the application."""
    listing = notes.kubectl("get", "deploy,sts,svc,ing,cm,secret,pvc,sa", "-n", "notes", "-o", "name")
    return set(listing.split())


def containerd_pid(notes: Cluster) -> int:
    config = os.fsencode(notes.data_dir / "nodes" / "node-1")
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if command[0].endswith(b"containerd") and any(argument.startswith(config) for argument in command):
                return int(process.name)
    raise AssertionError("containerd is not running")
