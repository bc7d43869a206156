"""The processes of a cluster: which there are, whether one still runs, and how to end one that nobody supervises."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration
from kajitori.app.flags import Flags
from kajitori.app.layout import Layout
from kajitori.app.record import ClusterRecord
from kajitori.kit.files import replace_file

STOP_LIMIT_S = 15.0
"""Besides what the API server was told to go on serving for."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep alive."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartState:
    """What the supervisor notes of a process it started. `started` is seconds since the epoch."""

    pid: int
    started: float
    restarts: int


_SHUTDOWN = ("delay-duration", "watch-termination-grace-period")


def stop_limit_s(record: ClusterRecord) -> float:
    """How long a part may take to stop."""
    try:
        flags = Flags(record.apiserver)
        return STOP_LIMIT_S + sum(flags.seconds(f"shutdown-{name}", 0.0) for name in _SHUTDOWN)
    except BadConfiguration:  # a record that was edited by hand; whoever starts the server is told
        return STOP_LIMIT_S


def parts_of(record: ClusterRecord) -> tuple[Part, ...]:
    """Every process of this cluster."""
    parts = [Part("apiserver", ("apiserver",))]
    disable = ("--disable", ",".join(record.disable)) if record.disable else ()
    if not {"controllers", "scheduler"} <= set(record.disable):
        profile = ("--scheduler-config", record.scheduler_config) if record.scheduler_config else ()
        parts.append(Part("controllers", ("controllers", *disable, *profile)))
    if record.simulated_nodes:
        parts.append(Part("simulator", ("simulator",)))
    parts += [Part(name, ("node", "--node", name, *disable)) for name in record.node_names]
    return tuple(parts)


def command_of(part: Part, layout: Layout) -> list[str]:
    return [sys.executable, "-m", "kajitori", *part.arguments, "--data-dir", str(layout.root)]


def write_state(layout: Layout, part: str, state: PartState) -> None:
    replace_file(layout.state(part), json.dumps(asdict(state)).encode())


def read_state(layout: Layout, part: str) -> PartState | None:
    try:
        found = json.loads(layout.state(part).read_text())
        return PartState(int(found["pid"]), float(found["started"]), int(found["restarts"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_part(pid: int, layout: Layout) -> bool:
    """Whether that process is still one we started, not another that got its number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"kajitori" in command and os.fsencode(layout.root) in command


def end_orphans(layout: Layout) -> None:
    """End the processes that a killed supervisor left; returns when they are gone."""
    names = [path.stem for path in layout.state("x").parent.glob("*.json")]
    states = (read_state(layout, name) for name in names)
    pids = [state.pid for state in states if state is not None and is_part(state.pid, layout)]
    if pids:
        asyncio.run(_end(pids))


async def _end(pids: Iterable[int]) -> None:
    await asyncio.gather(*(end_process(pid, STOP_LIMIT_S) for pid in pids))


async def end_process(pid: int, limit_s: float, *, kill: bool = True) -> bool:
    """SIGTERM, and after the limit SIGKILL; whether the process is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL) if kill else (signal.SIGTERM,):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), limit_s)
                return True
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
