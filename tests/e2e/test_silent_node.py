"""A node nobody hears of is given up, emptied and taken back. It needs two nodes, so the suite's cluster goes first."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from own_namespace import Space, condition, container, http_server, namespace, obj, template
from real_cluster import NOTES, Cluster, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def pair(cluster: Cluster, free_host: None, tmp_path: Path) -> Iterator[Cluster]:
    pair = Cluster(tmp_path / "data", cluster.port, cluster.http_port, cluster.https_port)
    pair.up("--nodes", "2")
    try:
        pair.kajitori("image", "load", pair.kajitori("image", "build", str(NOTES / "web/image.toml")).stdout.strip())
        yield pair
    finally:
        pair.down("--purge")


def backends(space: Space) -> list[bool]:
    slices = space.all("endpointslices", "kubernetes.io/service-name=web")
    return [e["conditions"]["ready"] for s in slices for e in s.get("endpoints") or ()]


@contextmanager
def agent_stopped(pair: Cluster) -> Iterator[None]:
    agent = pair.part_pid("node-2")
    os.kill(agent, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(agent, signal.SIGCONT)


@contextmanager
def network_lost(pair: Cluster) -> Iterator[None]:
    """The node's cable is pulled: what it runs goes on, and nobody hears of it."""
    link = ("ip", "link", "set", "kajitori-n2")
    subprocess.run((*link, "down"), check=True)
    try:
        yield
    finally:
        subprocess.run((*link, "up"), check=True)


@pytest.mark.parametrize("silence", [agent_stopped, network_lost])
def test_a_silent_node_is_given_up_and_taken_back(
    pair: Cluster, silence: Callable[[Cluster], AbstractContextManager[None]]
) -> None:
    def nodes_ready() -> list[str]:
        return [condition(node, "Ready")["status"] for node in pair.get("nodes")["items"]]

    with namespace(pair, "away") as space:
        labels = {"app": "web"}
        patience = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}
        tolerations = [{"key": f"node.kubernetes.io/{key}", **patience} for key in ("unreachable", "not-ready")]
        spec = {
            "replicas": 4, "selector": {"matchLabels": labels},
            "template": template(labels, container(http_server()), tolerations=tolerations),
        }  # fmt: skip
        web = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
        space.apply(obj("Deployment", "web", "apps/v1", spec=spec), obj("Service", "web", spec=web))
        space.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
        assert {p["spec"]["nodeName"] for p in space.all("pods")} == {"node-1", "node-2"}

        agent = pair.part_pid("node-2")
        with silence(pair):
            eventually(lambda: nodes_ready() == ["True", "Unknown"], "node-2 given up", 60)
            taints = {t["key"] for t in space.get("node", "node-2")["spec"]["taints"]}
            assert taints == {"node.kubernetes.io/unreachable"}
            eventually(lambda: backends(space).count(True) == 4, "four backends on the node that is left", 30)
        eventually(lambda: nodes_ready() == ["True", "True"], "node-2 taken back", 60)
        eventually(lambda: "taints" not in space.get("node", "node-2")["spec"], "its taints gone", 10)
        assert pair.part_pid("node-2") == agent
        space.kubectl("scale", "deployment/web", "--replicas=8")
        space.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
        assert {p["spec"]["nodeName"] for p in space.all("pods")} == {"node-1", "node-2"}
