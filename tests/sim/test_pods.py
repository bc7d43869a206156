"""What becomes of a pod on a simulated node, without a server."""

from typing import Any

import pytest

from kajitori.api.meta import Object, condition_is
from kajitori.sim.node import new_node, node_address
from kajitori.sim.pods import Addresses, Step, next_step, started_status


def pod(**values: Any) -> Object:
    spec = {"containers": [{"name": "a", "image": "i"}], "nodeName": "simulated-1"} | values.get("spec", {})
    return {"metadata": {"name": "p", "uid": "u"} | values.get("metadata", {}), "spec": spec} | (
        {"status": values["status"]} if "status" in values else {}
    )


@pytest.mark.parametrize(
    ("given", "step"),
    [
        (pod(), Step.START),
        (pod(status={"phase": "Pending"}), Step.START),
        (pod(status={"phase": "Running"}), Step.NOTHING),
        (pod(status={"phase": "Succeeded"}), Step.NOTHING),
        (pod(status={"phase": "Running"}, metadata={"deletionTimestamp": "2030-01-01T00:00:00Z"}), Step.REMOVE),
        (pod(metadata={"deletionTimestamp": "2030-01-01T00:00:00Z"}), Step.REMOVE),
    ],
)
def test_steps(given: Object, step: Step) -> None:
    assert next_step(given) is step


def test_a_pod_that_always_runs_is_ready() -> None:
    init = [{"name": "once", "image": "i"}, {"name": "side", "image": "i", "restartPolicy": "Always"}]
    given = pod(spec={"initContainers": init})
    status = started_status(given, "239.254.0.1", "239.0.0.1", 0.0)
    assert status["phase"] == "Running"
    assert condition_is({"status": status}, "Ready")
    assert status["podIPs"] == [{"ip": "239.0.0.1"}]
    assert "running" in status["containerStatuses"][0]["state"]
    states = [next(iter(entry["state"])) for entry in status["initContainerStatuses"]]
    assert states == ["terminated", "running"]
    assert all(entry["ready"] for entry in status["initContainerStatuses"])


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_a_pod_that_may_end_has_succeeded(policy: str) -> None:
    status = started_status(pod(spec={"restartPolicy": policy}), "239.254.0.1", "239.0.0.1", 0.0)
    assert status["phase"] == "Succeeded"
    assert condition_is({"status": status}, "Ready", "False")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


def test_a_pod_in_its_hosts_network_has_its_hosts_address() -> None:
    status = started_status(pod(spec={"hostNetwork": True}), "239.254.0.1", "239.0.0.1", 0.0)
    assert status["podIP"] == "239.254.0.1"


def test_addresses_are_kept_unique_and_given_back() -> None:
    addresses = Addresses()
    assert addresses.of("old", ["239.0.0.2"]) == "239.0.0.2"
    assert [addresses.of(uid) for uid in ("a", "b", "a")] == ["239.0.0.1", "239.0.0.3", "239.0.0.1"]
    addresses.release("a")
    addresses.release("unknown")
    assert addresses.of("c") == "239.0.0.4"


def test_nodes_are_tainted_only_beside_real_ones() -> None:
    assert new_node(1, tainted=True)["spec"]["taints"][0]["effect"] == "NoSchedule"
    assert new_node(1, tainted=False)["spec"] == {}
    assert [node_address(number) for number in (1, 300, 70_000)] == ["239.254.0.1", "239.254.1.44", "239.255.17.112"]
