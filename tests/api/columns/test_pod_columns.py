"""STATUS, READY and RESTARTS of a pod, as kubectl shows them."""

import pytest

from kajitori.api import core
from kajitori.api.columns.pods import row_conditions

_NOW_S = 1_000.0
_FINISHED = "1970-01-01T00:14:40Z"  # two minutes before _NOW_S


def row(pod, now_s=_NOW_S):
    return {column.name: column.cell(pod, now_s) for column in core.POD.columns}


def pod(phase="Running", main=(), init=(), conditions=(), **spec):
    names = [f"c{i}" for i in range(max(1, len(main)))]
    return {
        "metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": n} for n in names], **spec},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": n, **s} for n, s in zip(names, main, strict=False)],
            "initContainerStatuses": list(init),
            "conditions": [{"type": c, "status": "True"} for c in conditions],
        },
    }


RUNNING = {"ready": True, "restartCount": 0, "state": {"running": {}}}


def waiting(reason):
    return {"ready": False, "restartCount": 0, "state": {"waiting": {"reason": reason}}}


def ended(code=0, reason=None, signal=None):
    terminated = {"exitCode": code, "reason": reason, "signal": signal}
    return {"ready": False, "restartCount": 0, "state": {"terminated": {k: v for k, v in terminated.items() if v}}}


INIT = {"initContainers": [{"name": "i"}, {"name": "j"}]}
SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}]}


@pytest.mark.parametrize(
    ("shown", "ready", "given"),
    [
        ("Pending", "0/1", pod("Pending")),
        ("Running", "1/1", pod(main=[RUNNING])),
        ("ContainerCreating", "0/1", pod("Pending", main=[waiting("ContainerCreating")])),
        ("CrashLoopBackOff", "0/1", pod(main=[waiting("CrashLoopBackOff")])),
        ("ErrImagePull", "1/2", pod(main=[RUNNING, waiting("ErrImagePull")])),
        ("Completed", "0/1", pod("Succeeded", main=[ended(0, "Completed")])),
        ("Error", "0/1", pod("Failed", main=[ended(1, "Error")])),
        ("ExitCode:3", "0/1", pod("Failed", main=[ended(3)])),
        ("Signal:9", "0/1", pod("Failed", main=[ended(137, signal=9)])),
        ("NotReady", "1/2", pod(main=[ended(0, "Completed"), RUNNING])),
        ("Running", "1/2", pod(main=[ended(0, "Completed"), RUNNING], conditions=["Ready"])),
        ("Error", "0/2", pod("Failed", main=[ended(0, "Completed"), ended(1, "Error")])),
        ("OOMKilled", "1/3", pod(main=[ended(0, "Completed"), ended(137, "OOMKilled"), RUNNING])),
        ("Init:0/2", "0/1", pod("Pending", init=[{"name": "i", "state": {"running": {}}}], **INIT)),
        ("Init:1/2", "0/1", pod("Pending", init=[{"name": "i", **ended(0)}, {"name": "j", "state": {}}], **INIT)),
        ("Init:Error", "0/1", pod("Pending", init=[{"name": "i", **ended(1, "Error")}], **INIT)),
        ("Init:ExitCode:1", "0/1", pod("Pending", init=[{"name": "i", **ended(1)}], **INIT)),
        ("Init:CrashLoopBackOff", "0/1", pod("Pending", init=[{"name": "i", **waiting("CrashLoopBackOff")}], **INIT)),
        ("Running", "2/2", pod(main=[RUNNING], init=[{"name": "s", "started": True, **RUNNING}], **SIDECAR)),
    ],
)
def test_status_and_ready(shown, ready, given):
    cells = row(given)
    assert (cells["Status"], cells["Ready"]) == (shown, ready)


def test_a_deleted_pod_is_terminating_until_it_is_over():
    deleted = pod(main=[RUNNING])
    deleted["metadata"]["deletionTimestamp"] = _FINISHED
    assert row(deleted)["Status"] == "Terminating"
    deleted["status"]["phase"] = "Succeeded"
    assert row(deleted)["Status"] == "Succeeded"


def test_an_evicted_pod_shows_why():
    evicted = pod("Failed")
    evicted["status"]["reason"] = "Evicted"
    assert row(evicted)["Status"] == "Evicted"


def test_a_gated_pod():
    gated = pod("Pending")
    gated["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
    assert row(gated)["Status"] == "SchedulingGated"


def test_restarts_tell_how_long_ago_the_last_one_was():
    restarted = RUNNING | {"restartCount": 3, "lastState": {"terminated": {"finishedAt": _FINISHED}}}
    assert row(pod(main=[restarted]))["Restarts"] == "3 (2m ago)"
    assert row(pod(main=[RUNNING]))["Restarts"] == "0"


def test_restarts_of_finished_init_containers_no_longer_count():
    init = [{"name": "i", **ended(0), "restartCount": 5}, {"name": "j", **ended(0)}]
    assert row(pod(main=[RUNNING], init=init, **INIT))["Restarts"] == "0"


def test_wide_cells():
    placed = pod(main=[RUNNING], nodeName="n", readinessGates=[{"conditionType": "g"}])
    placed["status"] |= {"podIPs": [{"ip": "10.244.0.5"}], "podIP": "10.244.0.5"}
    cells = row(placed)
    assert (cells["IP"], cells["Node"], cells["Nominated Node"], cells["Readiness Gates"]) == (
        "10.244.0.5",
        "n",
        "<none>",
        "0/1",
    )


def test_what_stands_behind_a_waiting_init_container_does_not_count():
    specs = [{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]
    later = {"name": "s", "ready": True, "started": True, "restartCount": 5, "state": {"running": {}}}
    shown = row(
        pod("Pending", init=[{"name": "i", "restartCount": 2, "state": {"running": {}}}, later], initContainers=specs)
    )
    assert (shown["Ready"], shown["Restarts"]) == ("0/2", "2")


def test_a_sidecar_that_has_ended_is_not_ready():
    over = {"name": "s", "started": True, **ended(0), "ready": True}
    assert row(pod(main=[RUNNING], init=[over], **SIDECAR))["Ready"] == "1/2"


def test_the_row_of_a_pod_that_is_over_says_so():
    assert row_conditions(pod("Running")) == []
    (said,) = row_conditions(pod("Failed"))
    assert (said["type"], said["status"], said["reason"]) == ("Completed", "True", "Failed")
