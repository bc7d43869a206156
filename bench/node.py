"""What a user of one machine waits for: the start, a pod, and what an idle cluster costs."""

import statistics
import subprocess
import sys
import threading
import time

from bench.cluster import Cluster, Figure, cpu_s, resident_mb, running

IDLE_S = 30.0


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
    before, began = sum(map(cpu_s, pids)), time.perf_counter()
    threading.Event().wait(IDLE_S)
    spent = sum(map(cpu_s, pids)) - before
    share = 100 * spent / (time.perf_counter() - began)
    resident = sum(map(resident_mb, pids))
    return [
        Figure("idle, one node: all Python processes, resident", resident, "MB", 350.0),
        Figure(f"idle, one node: CPU over {IDLE_S:.0f} s", share, "%", 2.0),
    ]
