"""Probing a container: when to look, how to look, and what so many passes or failures in a row mean."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from kajitori.api.meta import Object
from kajitori.kit.clock import Clock, within
from kajitori.kubelet.expansion import expand
from kajitori.kubelet.http_probe import Outcome, UnknownPort, describe, probe_http, request_of, resolve_port
from kajitori.kubelet.runtime import Runtime, RuntimeDeadline, RuntimeFailure

logger = logging.getLogger(__name__)

OUTPUT_BYTES_MAX = 10 * 1024


class ProbeError(Exception):
    """The probe could not be made (the runtime was away): it counts neither way."""


class ProbeKind(StrEnum):
    STARTUP = "Startup"
    LIVENESS = "Liveness"
    READINESS = "Readiness"


FIELDS = {
    ProbeKind.STARTUP: "startupProbe",
    ProbeKind.LIVENESS: "livenessProbe",
    ProbeKind.READINESS: "readinessProbe",
}


class Thresholds:
    """Outcomes in, verdicts out: None until as many in a row as needed agree, and only when the verdict is news."""

    def __init__(self, probe: Object, initial: bool | None) -> None:
        self._success = int(probe.get("successThreshold") or 1)
        self._failure = int(probe.get("failureThreshold") or 3)
        self._verdict = initial
        self._last: bool | None = None
        self._run = 0

    def take(self, passed: bool) -> bool | None:
        self._run = self._run + 1 if passed == self._last else 1
        self._last = passed
        if self._run < (self._success if passed else self._failure) or passed == self._verdict:
            return None
        self._verdict = passed
        return passed


@dataclass(frozen=True, slots=True)
class Target:
    """The container that is probed. `ip` is asked anew for every probe."""

    container_id: str
    container: Object
    ip: Callable[[], str]


def timeout_of(probe: Object) -> float:
    return float(probe.get("timeoutSeconds") or 1)


async def look(probe: Object, target: Target, runtime: Runtime, clock: Clock) -> Outcome:
    """One probe; raises ProbeError."""
    timeout_s = timeout_of(probe)
    container = target.container
    try:
        if (command := (probe.get("exec") or {}).get("command")) is not None:
            variables = {v["name"]: v["value"] for v in container.get("env") or () if "value" in v}
            return await _exec([expand(word, variables) for word in command], target, runtime, timeout_s)
        if (http := probe.get("httpGet")) is not None:
            return await probe_http(request_of(http, container, target.ip()), clock, timeout_s)
        if (tcp := probe.get("tcpSocket")) is not None:
            host = tcp.get("host") or target.ip()
            return await _connect(host, resolve_port(tcp["port"], container), clock, timeout_s)
        if (grpc := probe.get("grpc")) is not None:
            from kajitori.kubelet.grpc_probe import probe_grpc

            return await probe_grpc(target.ip(), int(grpc["port"]), grpc.get("service") or "", timeout_s)
    except UnknownPort as error:
        return Outcome(False, str(error))
    return Outcome(False, "missing probe handler")


async def _exec(command: list[str], target: Target, runtime: Runtime, timeout_s: float) -> Outcome:
    try:
        result = await runtime.exec_sync(target.container_id, command, timeout_s)
    except RuntimeDeadline:
        return Outcome(False, f"command timed out: {' '.join(command)!r} timed out after {timeout_s:g}s")
    except RuntimeFailure as error:
        raise ProbeError(f"failed to exec in container: {error}") from None
    output = (result.stdout + result.stderr)[:OUTPUT_BYTES_MAX].decode(errors="replace")
    return Outcome(result.exit_code == 0, output)


async def _connect(host: str, port: int, clock: Clock, timeout_s: float) -> Outcome:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        _, writer = await within(clock, timeout_s, asyncio.open_connection(host, port))
    except TimeoutError:
        return Outcome(False, f"dial tcp {address}: i/o timeout")
    except socket.gaierror as error:
        return Outcome(False, f"dial tcp: lookup {host}: {error.strerror}")
    except OSError as error:
        return Outcome(False, f"dial tcp {address}: {describe(error)}")
    writer.close()
    return Outcome(True)


Verdict = Callable[[ProbeKind, bool], None]
"""What a probe found, when that is news."""
Failure = Callable[[ProbeKind, str], None]
"""Called for every single failed look, with the message of its event."""


class Prober:
    """All probes of one container: the startup probe alone at first, then the other two."""

    def __init__(
        self,
        target: Target,
        runtime: Runtime,
        clock: Clock,
        started_s: float,
        verdict: Verdict,
        failure: Failure,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        """`leaving`: the pod is ending, so only its readiness is of interest."""
        self._target = target
        self._runtime = runtime
        self._clock = clock
        self._started_s = started_s
        self._verdict = verdict
        self._failure = failure
        self._leaving = leaving

    async def run(self, *, started: bool, ready: bool) -> None:
        """Until cancelled. `started` and `ready` are what is known already (after a restart of the agent)."""
        container = self._target.container
        startup = container.get(FIELDS[ProbeKind.STARTUP])
        if startup and not started and not await self._until_started(startup):
            return
        loops: list[Awaitable[None]] = []
        for kind, initial in ((ProbeKind.LIVENESS, True), (ProbeKind.READINESS, ready)):
            if probe := container.get(FIELDS[kind]):
                loops.append(self._forever(kind, probe, initial))
        if loops:
            await asyncio.gather(*loops)

    async def _wait_first(self, probe: Object) -> None:
        due_s = self._started_s + float(probe.get("initialDelaySeconds") or 0)
        await self._clock.sleep(max(0.0, due_s - self._clock.now()))

    async def _once(self, kind: ProbeKind, probe: Object, thresholds: Thresholds) -> bool | None:
        """The verdict when it is news."""
        if self._over(kind):
            return None
        try:
            outcome = await look(probe, self._target, self._runtime, self._clock)
        except ProbeError as error:
            if self._over(kind):
                return None
            self._failure(kind, f"{kind} probe errored and resulted in unknown state: {error}")
            return None
        if self._over(kind):
            return None
        if not outcome.passed:
            self._failure(kind, f"{kind} probe failed: {outcome.message}")
        verdict = thresholds.take(outcome.passed)
        if verdict is not None:
            self._verdict(kind, verdict)
        return verdict

    def _over(self, kind: ProbeKind) -> bool:
        return kind is not ProbeKind.READINESS and self._leaving()

    async def _until_started(self, probe: Object) -> bool:
        thresholds = Thresholds(probe, None)
        await self._wait_first(probe)
        while not self._over(ProbeKind.STARTUP):
            verdict = await self._once(ProbeKind.STARTUP, probe, thresholds)
            if verdict is not None:
                return verdict
            await self._clock.sleep(float(probe.get("periodSeconds") or 10))
        return False

    async def _forever(self, kind: ProbeKind, probe: Object, initial: bool) -> None:
        thresholds = Thresholds(probe, initial)
        await self._wait_first(probe)
        while not self._over(kind):
            await self._once(kind, probe, thresholds)
            await self._clock.sleep(float(probe.get("periodSeconds") or 10))
