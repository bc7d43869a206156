"""How many pods a second the scheduler decides: in this process, without a server. `python -m bench.scheduler`.

Each pod is parsed, decided and put on its node, as in the real thing. Upstream's own scheduler_perf figures stand
beside ours as an order of magnitude: they include its API server, ours do not.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kajitori.scheduler.decide import Profile
from kajitori.scheduler.framework import Cluster
from kajitori.scheduler.match_counts import MatchCounts
from kajitori.scheduler.node_table import NodeTable
from kajitori.scheduler.pod_view import PodView

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
ZONES = 3
Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    spec: Callable[[], Spec]
    upstream_pods_per_s: int
    per_node_max: int = 110
    """More pods are not made: they would not fit."""


def _term(key: str) -> Spec:
    return {"labelSelector": {"matchLabels": {"app": "bench"}}, "topologyKey": key}


def _spread() -> Spec:
    return {"topologySpreadConstraints": [{"maxSkew": 5, "whenUnsatisfiable": "DoNotSchedule", **_term(ZONE)}]}


def _affinity(kind: str, key: str) -> Spec:
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [_term(key)]}}}


WORKLOADS = (
    Workload("plain", dict, 336),
    Workload("zone spread", _spread, 122),
    Workload("hostname anti-affinity", lambda: _affinity("podAntiAffinity", HOSTNAME), 147, per_node_max=1),
    Workload("zone affinity", lambda: _affinity("podAffinity", ZONE), 101),
)


def _cluster(nodes: int) -> Cluster:
    table = NodeTable()
    namespaces: dict[str, dict[str, str]] = {"default": {}}
    room = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    for number in range(nodes):
        labels = {HOSTNAME: f"node-{number}", ZONE: f"zone-{number % ZONES}"}
        table.put_node(
            {"metadata": {"name": f"node-{number}", "labels": labels}, "spec": {}, "status": {"allocatable": room}}
        )
    return Cluster(table, MatchCounts(table, namespaces), namespaces)


def _pods(workload: Workload, count: int) -> Iterator[Spec]:
    for number in range(count):
        requests = {"cpu": "100m", "memory": "500Mi"}
        container = {"name": "main", "image": "bench:1", "resources": {"requests": requests}}
        metadata = {"name": f"p{number}", "namespace": "default", "uid": f"u{number}", "labels": {"app": "bench"}}
        yield {"metadata": metadata, "spec": {"containers": [container], **workload.spec()}}


def measure(workload: Workload, nodes: int, pods: int) -> tuple[int, float]:
    """Pods placed, and pods a second."""
    cluster, profile = _cluster(nodes), Profile()
    documents = list(_pods(workload, min(pods, nodes * workload.per_node_max)))
    began = time.perf_counter()
    placed = 0
    for document in documents:
        pod = PodView(document)
        decision = profile.decide(pod, cluster, random.Random(pod.uid))
        if decision.node:
            cluster.nodes.put_pod(pod, decision.node)
            placed += 1
    return placed, placed / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scheduler", description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=10000)
    arguments = parser.parse_args()
    print(f"{'workload':26}{'nodes':>7}{'placed':>8}{'pods/s':>9}{'upstream':>10}")
    for workload in WORKLOADS:
        placed, speed = measure(workload, arguments.nodes, arguments.pods)
        row = f"{workload.name:26}{arguments.nodes:7}{placed:8}{speed:9.0f}{workload.upstream_pods_per_s:10}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
