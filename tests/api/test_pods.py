"""What a pod needs, which class it is in, and whether it counts."""

import pytest

from kajitori.api.pods import is_active, is_ready, pod_limits, pod_requests, qos_class


def container(requests=None, limits=None, **more):
    resources = {"requests": requests, "limits": limits}
    return {"name": "c", "resources": {k: v for k, v in resources.items() if v}, **more}


def pod(*containers, **spec):
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


def test_requests_add_up_over_containers_in_whole_units():
    needs = pod_requests(pod(container({"cpu": "100m", "memory": "1Ki"}), container({"cpu": "0.2", "a.b/gpu": "2"})))
    assert needs == {"cpu": 300, "memory": 1024, "a.b/gpu": 2}


def test_the_largest_init_container_counts_when_it_exceeds_the_running_ones():
    needs = pod_requests(
        pod(container({"cpu": "1"}), initContainers=[container({"cpu": "3"}), container({"cpu": "2"})])
    )
    assert needs == {"cpu": 3000}


def test_sidecars_add_to_the_running_containers_and_to_init_containers_after_them():
    init = [container({"cpu": "1"}, restartPolicy="Always"), container({"cpu": "4"})]
    assert pod_requests(pod(container({"cpu": "2"}), initContainers=init)) == {"cpu": 5000}
    assert pod_requests(pod(container({"cpu": "9"}), initContainers=init)) == {"cpu": 10000}
    assert pod_requests(pod(container({"cpu": "2"}), initContainers=init[::-1])) == {"cpu": 4000}


def test_pod_level_requests_replace_the_sum_and_overhead_is_added():
    needs = pod_requests(pod(container({"cpu": "1"}), resources={"requests": {"cpu": "5"}}, overhead={"cpu": "100m"}))
    assert needs == {"cpu": 5100}


def test_overhead_raises_only_limits_that_exist():
    assert pod_limits(pod(container(limits={"cpu": "1"}), overhead={"cpu": "100m", "memory": "1Ki"})) == {"cpu": 1100}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([container()], "BestEffort"),
        ([container({"a.b/gpu": "1"})], "BestEffort"),
        ([container({"cpu": "0"})], "BestEffort"),
        ([container({"cpu": "1"})], "Burstable"),
        ([container({"cpu": "1", "memory": "1"}, {"cpu": "1", "memory": "1"})], "Guaranteed"),
        ([container({"cpu": "1", "memory": "1Ki"}, {"cpu": "1000m", "memory": "1024"})], "Guaranteed"),
        ([container({"cpu": "1", "memory": "1"}, {"cpu": "2", "memory": "1"})], "Burstable"),
        ([container({"cpu": "1"}, {"cpu": "1"})], "Burstable"),
        ([container({"cpu": "1", "memory": "1"}, {"cpu": "1", "memory": "1"}), container()], "Burstable"),
    ],
)
def test_qos_class(containers, expected):
    assert qos_class(pod(*containers)) == expected


def test_init_containers_count_for_the_qos_class():
    full = container({"cpu": "1", "memory": "1"}, {"cpu": "1", "memory": "1"})
    assert qos_class(pod(full, initContainers=[container({"cpu": "1"})])) == "Burstable"


def test_activity_and_readiness_follow_phase_deletion_and_condition():
    running = pod(container()) | {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    assert is_ready(running)
    assert is_active(running)
    assert not is_active(running | {"status": {"phase": "Succeeded"}})
    assert not is_active(running | {"metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}})
