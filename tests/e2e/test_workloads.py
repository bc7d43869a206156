"""Jobs, CronJobs, DaemonSets, autoscaling, disruption, taints: controllers and kubelet together."""

from collections.abc import Iterator
from typing import Any

import pytest
from own_namespace import Space, condition, container, http_server, namespace, obj, pod, template
from real_cluster import Cluster, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def space(notes: Cluster) -> Iterator[Space]:
    with namespace(notes, "workloads") as space:
        yield space


def job(name: str, script: str, restart: str = "Never", **spec: Any) -> dict[str, Any]:
    return obj(
        "Job", name, "batch/v1", spec={"template": template({}, container(script), restartPolicy=restart), **spec}
    )


def test_a_job_runs_to_completion_and_is_removed_afterwards(space: Space) -> None:
    space.apply(job("sum", "echo $((1 + 2))", completions=2, parallelism=2, ttlSecondsAfterFinished=2))
    done = space.until("job", "sum", "condition=Complete")
    assert done["status"]["succeeded"] == 2
    assert space.kubectl("logs", "job/sum").strip() == "3"
    space.gone("job", "sum", 20)
    eventually(lambda: not space.all("pods", "job-name=sum"), "the pods gone with their job", 20)


def test_a_job_that_fails_too_often_is_given_up(space: Space) -> None:
    space.apply(job("bad", "exit 3", backoffLimit=0), job("worse", "exit 3", restart="OnFailure", backoffLimit=1))
    for name in ("bad", "worse"):
        failed = space.until("job", name, "condition=Failed", within_s=60)
        assert condition(failed, "Failed")["reason"] == "BackoffLimitExceeded"


def test_a_job_that_takes_too_long_is_stopped(space: Space) -> None:
    space.apply(job("slow", "exec sleep 1000", activeDeadlineSeconds=1))
    failed = space.until("job", "slow", "condition=Failed", within_s=30)
    assert condition(failed, "Failed")["reason"] == "DeadlineExceeded"
    eventually(lambda: not space.all("pods", "job-name=slow"), "no pod left", 30)


def test_an_indexed_job_tells_each_pod_its_index(space: Space) -> None:
    script = "echo index $JOB_COMPLETION_INDEX on $(hostname)"
    space.apply(job("indexed", script, completions=3, parallelism=3, completionMode="Indexed"))
    done = space.until("job", "indexed", "condition=Complete")
    assert done["status"]["completedIndexes"] == "0-2"
    lines = space.kubectl("logs", "-l", "job-name=indexed").split("\n")
    assert sorted(line for line in lines if line) == [f"index {n} on indexed-{n}" for n in range(3)]


def test_create_job_by_hand_and_from_a_cron_job(space: Space) -> None:
    image = ("--image=notes-web:1",)
    space.kubectl("create", "job", "typed", *image, "--", "echo", "typed")
    space.kubectl("create", "cronjob", "nightly", *image, "--schedule=0 3 * * *", "--", "echo", "nightly")
    space.kubectl("create", "job", "tonight", "--from=cronjob/nightly")
    for name, text in (("typed", "typed"), ("tonight", "nightly")):
        space.until("job", name, "condition=Complete")
        assert space.kubectl("logs", f"job/{name}").strip() == text
    assert space.get("job", "tonight")["metadata"]["ownerReferences"][0]["name"] == "nightly"


def test_a_daemon_set_runs_on_the_node_whatever_its_taints(space: Space) -> None:
    tolerated = {"tolerations": [{"operator": "Exists"}]}
    labels = {"app": "everywhere"}
    spec = {"selector": {"matchLabels": labels}, "template": template(labels, **tolerated)}
    space.kubectl("taint", "node", "node-1", "mine=yes:NoSchedule")
    try:
        space.apply(obj("DaemonSet", "everywhere", "apps/v1", spec=spec), pod("outside"))
        space.kubectl("rollout", "status", "daemonset/everywhere", "--timeout=180s")
        assert [p["spec"]["nodeName"] for p in space.all("pods", "app=everywhere")] == ["node-1"]
        eventually(lambda: "untolerated taint" in space.events("pod/outside"), "why the other pod waits", 20)
    finally:
        space.kubectl("taint", "node", "node-1", "mine-")
    space.ready("outside")
    space.delete("daemonset/everywhere", "pod/outside", "--wait=false")


def test_a_no_execute_taint_evicts_what_does_not_tolerate_it(space: Space) -> None:
    for_ever = {"key": "fire", "operator": "Exists", "effect": "NoExecute"}
    space.apply(
        pod("leaves"),
        pod("lingers", tolerations=[{**for_ever, "tolerationSeconds": 2}]),
        pod("stays", tolerations=[for_ever]),
    )
    for name in ("leaves", "lingers", "stays"):
        space.ready(name)
    space.kubectl("taint", "node", "node-1", "fire=yes:NoExecute")
    try:
        space.gone("pod", "leaves")
        assert "TaintManagerEviction" in space.events("pod/leaves")
        space.gone("pod", "lingers")
        assert condition(space.get("pod", "stays"), "Ready")["status"] == "True"
    finally:
        space.kubectl("taint", "node", "node-1", "fire-")
    space.cluster.kubectl("-n", "notes", "rollout", "status", "statefulset/database", "--timeout=180s")
    space.cluster.kubectl("-n", "notes", "rollout", "status", "deployment/web", "--timeout=180s")
    space.delete("pod/stays")


def test_a_budget_blocks_eviction_and_drain(space: Space) -> None:
    labels = {"app": "guarded"}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template(labels)}
    budget = {"minAvailable": 2, "selector": {"matchLabels": labels}}
    space.apply(
        obj("Deployment", "guarded", "apps/v1", spec=spec),
        obj("PodDisruptionBudget", "guarded", "policy/v1", spec=budget),
    )
    space.kubectl("rollout", "status", "deployment/guarded", "--timeout=180s")
    space.until("pdb", "guarded", "status.currentHealthy", "2")
    drain = ("drain", "node-1", "--pod-selector=app=guarded", "--timeout=5s", "--force", "--ignore-daemonsets")
    try:
        refused = space.fails(*drain)
        assert "Cannot evict pod as it would violate the pod's disruption budget" in refused
        assert "SchedulingDisabled" in space.kubectl("get", "node", "node-1")
        space.kubectl("patch", "pdb", "guarded", "--type=merge", "-p", '{"spec":{"minAvailable":0}}')
        space.until("pdb", "guarded", "status.disruptionsAllowed", "2")
        before = {p["metadata"]["uid"] for p in space.all("pods", "app=guarded")}
        assert "evicted" in space.kubectl(*drain[:3], "--timeout=180s", "--ignore-daemonsets")
        eventually(
            lambda: (
                all(p["status"]["phase"] == "Pending" for p in space.all("pods", "app=guarded"))
                and not before & {p["metadata"]["uid"] for p in space.all("pods", "app=guarded")}
            ),
            "replacements that wait for a node",
            20,
        )
    finally:
        space.kubectl("uncordon", "node-1")
    space.kubectl("rollout", "status", "deployment/guarded", "--timeout=180s")
    space.delete("deployment/guarded", "pdb/guarded", "--wait=false")


def test_the_autoscaler_follows_the_load(space: Space) -> None:
    labels = {"app": "busy"}
    busy = container(
        "while [ ! -e /tmp/calm ]; do :; done; exec sleep 1000",
        resources={"requests": {"cpu": "50m"}, "limits": {"cpu": "150m"}},
    )
    spec = {"selector": {"matchLabels": labels}, "template": template(labels, busy)}
    space.apply(obj("Deployment", "busy", "apps/v1", spec=spec))
    space.kubectl("autoscale", "deployment", "busy", "--cpu=50%", "--min=1", "--max=2")
    eventually(lambda: space.get("deployment", "busy")["spec"]["replicas"] == 2, "two replicas", 90)
    found = space.get("hpa", "busy")
    assert found["status"]["desiredReplicas"] == 2
    assert condition(found, "ScalingActive")["status"] == "True"
    assert "cpu: " in space.kubectl("get", "hpa", "busy")
    space.delete("hpa/busy", "deployment/busy", "--wait=false")


def test_a_namespace_goes_with_everything_in_it(notes: Cluster) -> None:
    with namespace(notes, "doomed") as doomed:
        labels = {"app": "doomed"}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        mounted = container(http_server(), volumeMounts=[{"name": "data", "mountPath": "/data"}])
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        doomed.apply(
            obj("PersistentVolumeClaim", "data", spec=claim),
            obj("ConfigMap", "settings", data={"a": "b"}),
            obj(
                "Deployment", "web", "apps/v1",
                spec={"selector": {"matchLabels": labels}, "template": template(labels, mounted, volumes=volumes)},
            ),
            obj("Service", "web", spec={"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}),
        )  # fmt: skip
        doomed.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
        volume = doomed.get("pvc", "data")["spec"]["volumeName"]
    assert volume not in notes.kubectl("get", "pv", "-o", "name", check=False)
    assert "doomed" not in notes.kubectl("get", "pods,configmaps,services,pvc", "-A", "--no-headers")
