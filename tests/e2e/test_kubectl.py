"""The rest of kubectl's daily commands on the running application: each as a user types it, and what it prints."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from real_cluster import Cluster, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def web_pod(notes: Cluster) -> str:
    return next(iter(eventually(lambda: notes.ready_pods("app=web"), "a ready web pod")))


def test_describe_names_the_important(notes: Cluster, web_pod: str) -> None:
    pod = notes.kubectl("describe", "pod", "-n", "notes", web_pod)
    for expected in ("Status:           Running", "Ready:          True", "QoS Class:", "Liveness:", "Mounts:"):
        assert expected in pod
    assert "RollingUpdateStrategy:  0 max unavailable, 1 max surge" in notes.kubectl(
        "describe", "deployment", "-n", "notes", "web"
    )
    assert "Allocated resources" in notes.kubectl("describe", "node", "node-1")
    assert "web:http" in notes.kubectl("describe", "ingress", "-n", "notes", "notes")


def test_explain_reads_the_schema(notes: Cluster) -> None:
    text = notes.kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    assert "maxSurge" in text
    assert "IntOrString" in text


def test_apply_is_idempotent_and_diff_shows_a_change(notes: Cluster, tmp_path: Path) -> None:
    manifest = Path("examples/notes/manifests/web.yaml")
    assert {line.split()[-1] for line in notes.kubectl("apply", "-f", str(manifest)).splitlines()} <= {
        "unchanged",
        "configured",
    }
    assert notes.kubectl("apply", "-f", str(manifest)).count("unchanged") == 2
    changed = tmp_path / "web.yaml"
    changed.write_text(manifest.read_text().replace("cpu: 50m", "cpu: 60m"))
    diff = notes.run("kajitori", "kubectl", "diff", "-f", str(changed), check=False)
    assert diff.returncode == 1
    assert "+            cpu: 60m" in diff.stdout


def test_unknown_fields_wrong_types_and_immutable_changes_are_refused(notes: Cluster) -> None:
    def refusal(document: dict) -> str:
        result = notes.run("kajitori", "kubectl", "apply", "-f", "-", stdin=json.dumps(document), check=False)
        assert result.returncode == 1
        return result.stderr

    configmap = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "notes"}}
    assert 'unknown field "dta"' in refusal({**configmap, "dta": {}})
    assert "cannot unmarshal" in refusal({**configmap, "data": {"a": 1}})
    deployment = notes.get("deployment", "web", "-n", "notes")
    deployment["spec"]["selector"]["matchLabels"] = {"app": "other"}
    deployment["spec"]["template"]["metadata"]["labels"]["app"] = "other"
    assert "field is immutable" in refusal(deployment)


def test_label_annotate_patch_and_wait(notes: Cluster, web_pod: str) -> None:
    assert "labeled" in notes.kubectl("label", "pod", "-n", "notes", web_pod, "tier=front")
    assert web_pod in notes.kubectl("get", "pods", "-n", "notes", "-l", "tier=front")
    assert "unlabeled" in notes.kubectl("label", "pod", "-n", "notes", web_pod, "tier-")
    assert "annotated" in notes.kubectl("annotate", "service", "web", "-n", "notes", "who=me", "--overwrite")
    patched = notes.kubectl(
        "patch", "service", "web", "-n", "notes", "--type=json", "-p",
        '[{"op":"replace","path":"/metadata/annotations/who","value":"you"}]',
    )  # fmt: skip
    assert "patched" in patched
    assert "condition met" in notes.kubectl("wait", "pod", "-n", "notes", web_pod, "--for=condition=Ready")


def test_edit_with_an_editor(notes: Cluster) -> None:
    notes.environment["EDITOR"] = "sed -i s/who:.*/who:\\ edited/"
    assert "edited" in notes.kubectl("edit", "service", "web", "-n", "notes")
    assert notes.get("service", "web", "-n", "notes")["metadata"]["annotations"]["who"] == "edited"


def test_logs_exec_cp_and_attach(notes: Cluster, web_pod: str, tmp_path: Path) -> None:
    assert "notes listens on 8080" in notes.kubectl("logs", "-n", "notes", web_pod)
    assert notes.kubectl("exec", "-n", "notes", web_pod, "--", "hostname").strip() == web_pod
    echoed = notes.kubectl("exec", "-i", "-n", "notes", web_pod, "--", "cat", stdin="through and back\n" * 1000)
    assert echoed == "through and back\n" * 1000
    failed = notes.run("kajitori", "kubectl", "exec", "-n", "notes", web_pod, "--", "sh", "-c", "exit 7", check=False)
    assert failed.returncode == 7
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(bytes(range(256)) * 1000)
    notes.kubectl("cp", "-n", "notes", str(sent), "database-0:/tmp/copied")
    notes.kubectl("cp", "-n", "notes", "database-0:/tmp/copied", str(back))
    assert back.read_bytes() == sent.read_bytes()


def test_logs_follow_shows_new_lines(notes: Cluster, web_pod: str) -> None:
    follow = subprocess.Popen(
        ["kajitori", "kubectl", "logs", "-f", "-n", "notes", "--since=1s", web_pod],
        env=notes.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        notes.kubectl("exec", "-n", "notes", web_pod, "--", "sh", "-c", "echo a line of ours > /proc/1/fd/1")
        assert follow.stdout is not None
        assert "a line of ours" in follow.stdout.readline()
    finally:
        follow.kill()
        follow.wait()


def test_port_forward(notes: Cluster, web_pod: str) -> None:
    forward = subprocess.Popen(
        ["kajitori", "kubectl", "port-forward", "-n", "notes", web_pod, ":8080"],
        env=notes.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert forward.stdout is not None
        port = forward.stdout.readline().split("127.0.0.1:")[1].split()[0]
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/whoami", timeout=10) as answer:
                assert answer.read().decode() == web_pod
    finally:
        forward.kill()
        forward.wait()


def test_rollout_history_and_top(notes: Cluster) -> None:
    assert "REVISION" in notes.kubectl("rollout", "history", "-n", "notes", "deployment/web")
    eventually(lambda: "node-1" in notes.kubectl("top", "nodes"), "node metrics", 90)
    eventually(lambda: "database-0" in notes.kubectl("top", "pods", "-n", "notes"), "pod metrics", 90)


def test_api_resources_and_events(notes: Cluster) -> None:
    rows = notes.kubectl("api-resources", "--no-headers").splitlines()
    assert len(rows) >= 60
    assert "deployments" in {row.split()[0] for row in rows}
    assert "Scheduled" in notes.kubectl("events", "-n", "notes")


def test_can_i_and_service_account_tokens(notes: Cluster) -> None:
    assert notes.kubectl("auth", "can-i", "delete", "nodes").strip() == "yes"
    as_default = ("--as=system:serviceaccount:notes:default",)
    assert notes.kubectl("auth", "can-i", "list", "pods", "-n", "notes", *as_default, check=False).strip() == "no"
    notes.kubectl("create", "role", "reader", "--verb=list", "--resource=pods", "-n", "notes")
    notes.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=notes:default", "-n", "notes")
    assert notes.kubectl("auth", "can-i", "list", "pods", "-n", "notes", *as_default).strip() == "yes"
    token = notes.kubectl("create", "token", "default", "-n", "notes").strip()
    server = f"https://127.0.0.1:{notes.port}"
    command = (str(Path(sys.executable).parent / "kubectl"), "--kubeconfig=/dev/null", f"--server={server}")
    secured = (*command, "--insecure-skip-tls-verify", f"--token={token}")
    assert "web-" in notes.run(*secured, "get", "pods", "-n", "notes").stdout
    forbidden = notes.run(*secured, "get", "secrets", "-n", "notes", check=False)
    assert 'cannot list resource "secrets" in API group "" in the namespace "notes"' in forbidden.stderr


def test_a_pod_reaches_the_api_and_the_dns(notes: Cluster, web_pod: str) -> None:
    script = (
        "require('dns').lookup('database.notes.svc.cluster.local', (e, a) => {"
        " require('dns').lookup('kubernetes.default', (f, b) => console.log(a, b)) })"
    )
    answer = notes.kubectl("exec", "-n", "notes", web_pod, "--", "node", "-e", script).split()
    assert answer == [notes.pods("app=database")["database-0"]["status"]["podIP"], "10.96.0.1"]


def test_a_pod_that_fits_nowhere_says_why(notes: Cluster) -> None:
    notes.kubectl("run", "huge", "-n", "notes", "--image=notes-web:1",
                  '--overrides={"spec":{"containers":[{"name":"huge","image":"notes-web:1",'
                  '"resources":{"requests":{"cpu":"1000"}}}]}}')  # fmt: skip
    try:
        eventually(
            lambda: (
                "0/1 nodes are available: 1 Insufficient cpu" in notes.kubectl("describe", "pod", "huge", "-n", "notes")
            ),
            "the reason in an event",
        )
    finally:
        notes.kubectl("delete", "pod", "huge", "-n", "notes")
