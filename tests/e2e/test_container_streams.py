"""Streams to containers as kubectl and a bare WebSocket client use them, and what logs answer."""

import os
import pty
import select
import socket
import ssl
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from own_namespace import Space, container, namespace, pod, state_of
from real_cluster import Cluster, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def space(notes: Cluster) -> Iterator[Space]:
    with namespace(notes, "streams") as space:
        space.apply(
            pod("two", container("for n in 1 2 3; do echo a$n; done; exec sleep 1000", "a"),
                container("echo b1; exec cat", "b", stdin=True)),
        )  # fmt: skip
        space.ready("two")
        yield space


class Terminal:
    """kubectl on a pseudo terminal."""

    def __init__(self, space: Space, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        command = ("kajitori", "kubectl", "-n", space.name, *arguments)
        self.process = subprocess.Popen(
            command, env=space.cluster.environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def expect(self, text: str, within_s: float = 60) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.text:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} did not appear in {self.text!r}"
            try:
                self.text += os.read(self._ours, 4096).decode()
            except OSError:
                break
        assert text in self.text

    def close(self) -> int:
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            os.close(self._ours)


def test_exec_on_a_terminal(space: Space) -> None:
    terminal = Terminal(space, "exec", "-it", "two", "-c", "a", "--", "bash", "--norc")
    terminal.type("tty; echo si$((1+1))ze; stty size; exit 9\n")
    terminal.expect("/dev/pts/0")
    terminal.expect("si2ze")
    assert terminal.close() == 9


def test_attach_reaches_the_running_process(space: Space) -> None:
    attached = subprocess.Popen(
        ["kajitori", "kubectl", "-n", space.name, "attach", "-i", "two", "-c", "b"],
        env=space.cluster.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert attached.stdin is not None
    assert attached.stdout is not None
    try:
        attached.stdin.write("to and fro\n")
        attached.stdin.flush()
        assert attached.stdout.readline() == "to and fro\n"
    finally:
        attached.kill()
        attached.wait()
    assert "to and fro" in space.kubectl("logs", "two", "-c", "b")


def test_run_a_throw_away_pod(space: Space) -> None:
    command = ("run", "throw-away", "--image=notes-web:1", "--restart=Never", "--rm", "-i", "-q", "--command", "--")
    assert space.kubectl(*command, "sh", "-c", "read line; echo got $line", stdin="this\n").strip() == "got this"
    assert "throw-away" not in space.kubectl("get", "pods")


def test_debug_puts_a_container_beside(space: Space) -> None:
    added = ("debug", "two", "--image=notes-web:1", "-c", "look", "--target=a", "--profile=general", "--")
    space.kubectl(*added, "sh", "-c", "cat /proc/*/cmdline | tr '\\0' ' '; echo; exec sleep 999")

    def runs() -> bool:
        return "running" in state_of(space.get("pod", "two"), "look", "ephemeralContainerStatuses").get("state", {})

    eventually(runs, "the ephemeral container", 20)
    # It shares the other container's processes.
    eventually(lambda: "sleep 1000" in space.kubectl("logs", "two", "-c", "look"), "the target's process", 10)


def test_logs_of_several_containers_and_parts_of_them(space: Space) -> None:
    logs = space.kubectl("logs", "two", "--all-containers", "--prefix", "--tail=1")
    assert "[pod/two/a] a3" in logs
    assert space.kubectl("logs", "two", "-c", "a", "--tail=2").split() == ["a2", "a3"]
    assert space.kubectl("logs", "two", "-c", "a", "--limit-bytes=4") == "a1\na"
    assert space.kubectl("logs", "two", "-c", "a", "--since=1h").split() == ["a1", "a2", "a3"]
    assert space.kubectl("logs", "two", "-c", "a", "--since-time=2099-01-01T00:00:00Z") == ""
    stamped = space.kubectl("logs", "two", "-c", "a", "--timestamps", "--tail=1").split()
    assert stamped[0].endswith("Z")
    assert stamped[1] == "a3"
    assert 'previous terminated container "a" in pod "two" not found' in space.fails("logs", "two", "-c", "a", "-p")
    assert "container nobody is not valid for pod two" in space.fails("logs", "two", "-c", "nobody")


def test_copy_to_and_fro(space: Space, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("copied\n" * 10000)
    space.kubectl("cp", "-c", "a", str(folder), "two:/tmp/folder")
    space.kubectl("cp", "-c", "a", "two:/tmp/folder", str(tmp_path / "back"))
    assert (tmp_path / "back" / "file").read_text() == "copied\n" * 10000


class WebSocket:
    """Just enough of RFC 6455: small binary messages both ways."""

    def __init__(self, cluster: Cluster, target: str, protocol: str, keys: Path) -> None:
        kubeconfig = (cluster.data_dir / "kubeconfig").read_text()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        pair = [keys / "client-certificate-data", keys / "client-key-data"]
        for file in pair:
            file.write_bytes(b64decode(kubeconfig.split(f"{file.name}: ")[1].split()[0].strip('"')))
        context.load_cert_chain(*pair)
        plain = socket.create_connection(("127.0.0.1", cluster.port), timeout=10)
        self._socket = context.wrap_socket(plain)
        head = f"GET {target} HTTP/1.1\r\nHost: api\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}\r\n"
        self._socket.sendall(f"{head}Sec-WebSocket-Protocol: {protocol}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        answer = iter(self._file.readline, b"\r\n")
        self.head = b"".join(answer).decode().lower()

    def send(self, channel: int, data: bytes) -> None:
        data = bytes([channel]) + data
        self._socket.sendall(bytes([0x82, 0x80 | len(data)]) + bytes(4) + data)

    def receive(self, channel: int) -> bytes:
        """The next words on a channel; what comes on others is passed over."""
        while True:
            _, length = self._file.read(2)
            if length == 126:
                length = int.from_bytes(self._file.read(2), "big")
            data = self._file.read(length)
            if data[:1] == bytes([channel]) and len(data) > 1:
                return data[1:]

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_exec_over_a_bare_web_socket(space: Space, tmp_path: Path) -> None:
    query = [("container", "a"), ("command", "cat"), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    target = f"/api/v1/namespaces/{space.name}/pods/two/exec?{urlencode(query)}"
    stream = WebSocket(space.cluster, target, "v4.channel.k8s.io", tmp_path)
    try:
        assert stream.head.startswith("http/1.1 101")
        assert "sec-websocket-protocol: v4.channel.k8s.io" in stream.head
        stream.send(0, b"hello")
        assert stream.receive(1) == b"hello"
    finally:
        stream.close()
