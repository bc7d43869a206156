"""A real cluster, driven as a user drives it: the `kajitori` command, real kubectl, HTTP to the Ingress."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NOTES = ROOT / "examples" / "notes"
HOST = "notes.localhost"


PATIENCE = 3
"""Limits are those of a machine that does nothing else; so many times longer is waited."""


def eventually(check: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """Ask until the answer is true; fails naming what was awaited and the last answer."""
    within_s *= PATIENCE
    deadline, last = time.monotonic() + within_s, None
    pause = threading.Event()
    while time.monotonic() < deadline:
        try:
            last = check()
        except (OSError, http.client.HTTPException, subprocess.CalledProcessError, LookupError) as error:
            last = error
        else:
            if last:
                return last
        pause.wait(0.1)
    raise AssertionError(f"not within {within_s:.0f} s: {what}; last: {last!r}")


class Cluster:
    """One data directory and the commands on it."""

    def __init__(self, data_dir: Path, port: int = 6443, http_port: int = 80, https_port: int = 443) -> None:
        self.data_dir = data_dir
        self.port, self.http_port, self.https_port = port, http_port, https_port
        self.environment = os.environ | {"KAJITORI_DATA_DIR": str(data_dir), "HTTP_PORT": str(http_port)}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{self.environment['PATH']}"

    @classmethod
    def at(cls, data_dir: Path) -> "Cluster":
        """The cluster that runs there."""
        record = json.loads((data_dir / "cluster.json").read_text())
        return cls(data_dir, record["port"], record["http_port"], record["https_port"])

    def run(self, *command: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        result = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, input=stdin, timeout=420, check=False
        )
        if check and result.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        return result

    def kajitori(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("kajitori", *arguments, check=check)

    def up(self, *options: str) -> None:
        ports = ("--http-port", str(self.http_port), "--https-port", str(self.https_port), "--port", str(self.port))
        self.kajitori("up", "--detach", "--wait", *ports, *options)

    def down(self, *options: str) -> None:
        self.kajitori("down", *options)

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        return self.run("kajitori", "kubectl", *arguments, check=check, stdin=stdin).stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, selector: str, namespace: str = "notes") -> dict[str, dict[str, Any]]:
        items = self.get("pods", "-n", namespace, "-l", selector)["items"]
        return {item["metadata"]["name"]: item for item in items}

    def ready_pods(self, selector: str, namespace: str = "notes") -> dict[str, dict[str, Any]]:
        return {name: pod for name, pod in self.pods(selector, namespace).items() if _serves(pod)}

    def fetch(self, path: str = "/", *, tls: bool = False, body: str | None = None) -> tuple[int, str]:
        """Status and text of a request through the Ingress."""
        connection: http.client.HTTPConnection
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", self.https_port, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            headers = {"Host": HOST, "Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST" if body else "GET", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def answering(self, requests: int = 30) -> Counter[str]:
        """Which pods answered how often."""
        return Counter(self.fetch("/whoami")[1] for _ in range(requests))

    def status(self) -> dict[str, Any]:
        return json.loads(self.kajitori("status", "-o", "json", check=False).stdout)

    def part_pid(self, name: str) -> int:
        return next(part["pid"] for part in self.status()["parts"] if part["name"] == name)


def _serves(pod: dict[str, Any]) -> bool:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


class Load:
    """Requests through the Ingress, one after another on a few connections, until stopped."""

    def __init__(self, cluster: Cluster, path: str = "/whoami", workers: int = 3) -> None:
        self._cluster, self._path = cluster, path
        self._stop = threading.Event()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._cluster.http_port, timeout=10)
        while not self._stop.wait(0.005):
            try:
                connection.request("GET", self._path, headers={"Host": HOST})
                response = connection.getresponse()
                text = response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if response.status == 200:
                self.answers[text] += 1
            else:
                self.failures.append(f"{response.status} {text[:100]}")
