"""A cluster that exists for a measurement, driven by the command as a user would, and what its processes cost."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


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

    def pid_of(self, part: str) -> int:
        parts = json.loads(self.run("kajitori", "status", "-o", "json"))["parts"]
        return next(int(found["pid"]) for found in parts if found["name"] == part)

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


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mb(pid: int) -> float:
    """Resident set size: pages that processes share count for each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    return 0.0
