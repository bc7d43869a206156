"""Measures a cluster of this machine's own, as a user meets it, and prints one table.

Each figure stands beside the goal it is held against. Nothing here fails: tests judge behaviour, this reports speed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, in which unit, and what it should be at most."""

    name: str
    value: float
    unit: str
    goal: float

    def row(self) -> str:
        verdict = "met" if self.value <= self.goal else "missed"
        return f"{self.name:52} {self.value:10.2f} {self.unit:5} goal {self.goal:7.2f}  {verdict}"


class Cluster:
    """A data directory, driven by the command."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        binaries = Path(sys.executable).parent
        self._environment = os.environ | {
            "KAJITORI_DATA_DIR": str(data_dir),
            "PATH": f"{binaries}:{os.environ['PATH']}",
        }

    def run(self, *command: str, stdin: str | None = None) -> str:
        result = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, input=stdin, check=False
        )
        if result.returncode:
            sys.exit(f"bench: {' '.join(command)} failed: {result.stderr.strip()}")
        return result.stdout + result.stderr

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.run("kajitori", "kubectl", *arguments, stdin=stdin)

    def watch(self, *arguments: str) -> subprocess.Popen[str]:
        command = ["kajitori", "kubectl", "get", *arguments, "--watch", "-o", "json"]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)

    def pids(self) -> list[int]:
        """Every Python process of the cluster, the supervisor among them."""
        parts = json.loads(self.run("kajitori", "status", "-o", "json"))["parts"]
        return [int((self.data_dir / "supervisor.pid").read_text()), *(part["pid"] for part in parts)]


@contextmanager
def running(options: tuple[str, ...]) -> Iterator[tuple[Cluster, dict[str, float]]]:
    """A new cluster and the seconds after which each part was ready."""
    with tempfile.TemporaryDirectory(prefix="kajitori-bench-") as folder:
        cluster = Cluster(Path(folder) / "data")
        progress = cluster.run("kajitori", "up", "--detach", "--wait", *options)
        ready = {}
        for line in progress.splitlines():
            if " ready after " in line:
                name, _, seconds = line.partition(" ready after ")
                ready[name] = float(seconds.removesuffix(" s"))
        try:
            yield cluster, ready
        finally:
            cluster.run("kajitori", "down", "--purge")


def measure_start(rounds: int) -> list[Figure]:
    starts = []
    for _ in range(rounds):
        with running(()) as (_, ready):
            starts.append(ready)
    return [
        Figure("up: API ready (median)", statistics.median(s["apiserver"] for s in starts), "s", 1.5),
        Figure("up: node Ready (median)", statistics.median(s["node-1"] for s in starts), "s", 5.0),
    ]


POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, imagePullPolicy: Never}]
"""


def measure_pods(cluster: Cluster, count: int) -> list[Figure]:
    """From the create's answer to the moment a watch shows Running; one pod after another, image present."""
    seconds = []
    image = "kajitori/pause:1"
    for number in range(count):
        name = f"bench-{number}"
        watch = cluster.watch("pods", "--field-selector", f"metadata.name={name}")
        seen = threading.Event()
        threading.Thread(target=_until_running, args=(watch, seen), daemon=True).start()
        began = time.perf_counter()
        cluster.kubectl("create", "-f", "-", stdin=POD.replace("NAME", name).replace("IMAGE", image))
        if not seen.wait(60):
            sys.exit(f"bench: pod {name} did not run within 60 s")
        seconds.append(time.perf_counter() - began)
        watch.kill()
        watch.wait()
        cluster.kubectl("delete", "pod", name, "--wait=false")
    return [
        Figure("pod created -> Running, kubectl included (p50)", statistics.median(seconds), "s", 1.0),
        Figure("pod created -> Running, kubectl included (max)", max(seconds), "s", 1.0),
    ]


def _until_running(watch: subprocess.Popen[str], seen: threading.Event) -> None:
    assert watch.stdout is not None
    for line in watch.stdout:
        if '"phase": "Running"' in line:
            seen.set()
            return


def measure_idle(cluster: Cluster) -> list[Figure]:
    """Resident memory and CPU of all Python processes while nothing happens."""
    threading.Event().wait(10)
    pids = cluster.pids()
    before, began = sum(map(_cpu_s, pids)), time.perf_counter()
    threading.Event().wait(IDLE_S)
    spent = sum(map(_cpu_s, pids)) - before
    share = 100 * spent / (time.perf_counter() - began)
    resident = sum(map(_resident_mb, pids))
    return [
        Figure("idle, one node: all Python processes, resident", resident, "MB", 350.0),
        Figure(f"idle, one node: CPU over {IDLE_S:.0f} s", share, "%", 2.0),
    ]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _resident_mb(pid: int) -> float:
    """Resident set size: pages that processes share count for each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="starts to measure (default 3)")
    parser.add_argument("--pods", type=int, default=10, help="pods to time (default 10)")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: real nodes need root")
    for figure in measure_start(arguments.rounds):
        print(figure.row(), flush=True)
    with running(()) as (cluster, _):
        steps: tuple[Callable[[], list[Figure]], ...] = (
            lambda: measure_idle(cluster),
            lambda: measure_pods(cluster, arguments.pods),
        )
        for step in steps:
            for figure in step():
                print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
