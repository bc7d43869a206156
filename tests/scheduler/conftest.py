"""Small documents, and a cluster of them as the scheduler sees it."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from kajitori.scheduler.decide import Decision, Profile
from kajitori.scheduler.framework import Cluster
from kajitori.scheduler.match_counts import MatchCounts
from kajitori.scheduler.node_table import NodeTable
from kajitori.scheduler.pod_view import PodView

_uids = itertools.count(1)


def make_node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **parts: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, **parts.get("labels", {})}
    room = {"cpu": cpu, "memory": memory, "pods": pods}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {k: v for k, v in parts.items() if k in ("taints", "unschedulable")},
        "status": {"allocatable": room},
    }


def make_pod(name: str = "p", cpu: str = "", memory: str = "", labels: Any = None, **spec: Any) -> dict[str, Any]:
    requests = {k: v for k, v in (("cpu", cpu), ("memory", memory)) if v}
    container = {"name": "c", "image": "i:1", "resources": {"requests": requests}}
    metadata = {"name": name, "namespace": "default", "uid": f"u{next(_uids)}", "labels": labels or {}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


class World:
    """Nodes and pods; `place` decides and keeps the result."""

    def __init__(self) -> None:
        self.nodes = NodeTable()
        self.namespaces: dict[str, dict[str, str]] = {"default": {}, "other": {"team": "b"}}
        self.cluster = Cluster(self.nodes, MatchCounts(self.nodes, self.namespaces), self.namespaces, {}, {}, {})
        self.profile = Profile()

    def node(self, name: str, **parts: Any) -> None:
        self.nodes.put_node(make_node(name, **parts))

    def run(self, pod: dict[str, Any], node: str) -> None:
        self.nodes.put_pod(PodView(pod), node)

    def decide(self, pod: dict[str, Any]) -> Decision:
        return self.profile.decide(PodView(pod), self.cluster, random.Random(1))

    def place(self, pod: dict[str, Any]) -> str:
        node = self.decide(pod).node
        if node:
            self.run(pod, node)
        return node


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def pod() -> Callable[..., dict[str, Any]]:
    return make_pod
