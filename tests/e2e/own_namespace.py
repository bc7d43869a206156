"""A namespace of a test module's own, and the words its tests are written in."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from real_cluster import PATIENCE, Cluster, eventually

IMAGE = "notes-web:1"
"""Debian with node, perl, script and the core tools; runs as user 1000."""


def container(script: str = "exec sleep 1000", name: str = "main", **fields: Any) -> dict[str, Any]:
    """A container that runs a shell script."""
    return {"name": name, "image": IMAGE, "command": ["sh", "-c", script], **fields}


def http_server(answer: str = "os.hostname()", port: int = 8080) -> str:
    """A script: answers every request with a JavaScript expression, which may use `request`."""
    code = f"require('http').createServer((request, r) => r.end({answer})).listen({port})"
    return f"exec node -e \"const os = require('os'); {code}\""


def obj(
    kind: str, name: str, version: str = "v1", labels: dict[str, str] | None = None, **fields: Any
) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, **fields}


def pod(name: str, *containers: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod without patience: it may be killed at once."""
    spec = {"terminationGracePeriodSeconds": 0, "containers": containers or [container()], **spec}
    return obj("Pod", name, labels=labels, spec=spec)


def template(labels: dict[str, str], *containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels}, "spec": pod("any", *containers, **spec)["spec"]}


def state_of(found: dict[str, Any], name: str = "main", field: str = "containerStatuses") -> dict[str, Any]:
    """A container's status in a pod; empty before there is one."""
    return next((s for s in found["status"].get(field, ()) if s["name"] == name), {})


def condition(found: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((c for c in found.get("status", {}).get("conditions", ()) if c["type"] == kind), {})


class Space:
    """The cluster as seen from one namespace."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, check=check, stdin=stdin)

    def fails(self, *arguments: str) -> str:
        """What kubectl says on stderr when it refuses."""
        result = self.cluster.run("kajitori", "kubectl", "-n", self.name, *arguments, check=False)
        assert result.returncode, result.stdout
        return result.stderr

    def apply(self, *objects: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return json.loads(self.kubectl("get", kind, name, "-o", "json"))

    def all(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        return json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]

    def until(self, kind: str, name: str, path: str, value: str = "", within_s: int = 40) -> dict[str, Any]:
        """Wait for a condition (no value) or a JSON path to have this value; what is there then."""
        wanted = f"--for=jsonpath={{.{path}}}={value}" if value else f"--for={path}"
        done = self.cluster.run(
            "kajitori",
            "kubectl",
            "-n",
            self.name,
            "wait",
            kind,
            name,
            wanted,
            f"--timeout={PATIENCE * within_s}s",
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{done.stderr}\n{self.kubectl('describe', kind, name, check=False)}")
        return self.get(kind, name)

    def gone(self, kind: str, name: str, within_s: int = 40) -> None:
        self.kubectl("wait", kind, name, "--for=delete", f"--timeout={PATIENCE * within_s}s")

    def ready(self, name: str) -> dict[str, Any]:
        return self.until("pod", name, "condition=Ready")

    def ended(self, name: str, phase: str = "Succeeded") -> dict[str, Any]:
        return self.until("pod", name, "status.phase", phase)

    def sh(self, name: str, script: str, container_name: str = "main") -> str:
        return self.kubectl("exec", name, "-c", container_name, "--", "sh", "-c", script).strip()

    def delete(self, *arguments: str) -> None:
        self.kubectl("delete", "--ignore-not-found", *arguments)

    def events(self, name: str) -> str:
        return self.kubectl("events", "--for", name)


@contextmanager
def namespace(cluster: Cluster, name: str) -> Iterator[Space]:
    cluster.kubectl("create", "namespace", name)
    space = Space(cluster, name)
    eventually(lambda: space.kubectl("get", "serviceaccount", "default"), "the default service account", 10)
    try:
        yield space
    finally:
        cluster.kubectl("delete", "namespace", name)
