"""`kajitori status`: what runs, where, since when, how healthy."""

import asyncio
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from kajitori.api import core
from kajitori.api.errors import StatusError
from kajitori.api.meta import condition_is, name_of
from kajitori.app.data_dir import full_disk
from kajitori.app.layout import Layout
from kajitori.app.locks import is_running
from kajitori.app.processes import is_part, parts_of, read_state
from kajitori.app.record import ClusterRecord, require_record
from kajitori.client.http import HttpClient
from kajitori.client.interface import Disconnected
from kajitori.client.kubeconfig import KubeconfigError, read_kubeconfig
from kajitori.kit.clock import SystemClock
from kajitori.sim.node import NAME_PREFIX

ANSWER_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One process. `since` is seconds since the epoch."""

    name: str
    running: bool
    pid: int
    since: float
    restarts: int


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """`api`, `disk` and each node say "ok"/"Ready" or what is wrong."""

    data_dir: str
    running: bool
    server: str
    api: str
    parts: list[PartStatus]
    nodes: dict[str, str]
    disk: str = "ok"

    @property
    def healthy(self) -> bool:
        parts_run = all(part.running for part in self.parts)
        return (
            self.running
            and self.api == "ok"
            and self.disk == "ok"
            and parts_run
            and all(n == "Ready" for n in self.nodes.values())
        )


def show_status(data_dir: Path, output: str) -> int:
    layout = Layout(data_dir)
    record = require_record(layout)
    status = read_status(layout, record)
    if output == "json":
        click.echo(json.dumps(asdict(status) | {"healthy": status.healthy}, indent=2))
    else:
        _print(status)
    return 0 if status.healthy else 1


def read_status(layout: Layout, record: ClusterRecord) -> ClusterStatus:
    running = is_running(layout)
    parts = [_part_status(layout, part.name) for part in parts_of(record)]
    api, nodes = asyncio.run(_ask_api(layout)) if running else ("stopped", {})
    for name in record.node_names:
        nodes.setdefault(name, "unknown")
    return ClusterStatus(
        str(layout.root), running, f"https://127.0.0.1:{record.port}", api, parts, nodes, full_disk(layout) or "ok"
    )


def _part_status(layout: Layout, name: str) -> PartStatus:
    state = read_state(layout, name)
    if state is None:
        return PartStatus(name, False, 0, 0.0, 0)
    return PartStatus(name, is_part(state.pid, layout), state.pid, state.started, state.restarts)


async def _ask_api(layout: Layout) -> tuple[str, dict[str, str]]:
    try:
        client = HttpClient(read_kubeconfig(layout.kubeconfig), SystemClock())
    except KubeconfigError as error:
        return str(error), {}
    try:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            code, _, body = await client.raw("GET", "/readyz")
            if code != 200:
                return f"not ready: {body.decode(errors='replace').strip().splitlines()[0]}", {}
            nodes = await client.list(core.NODE)
    except (Disconnected, StatusError) as error:
        return str(error), {}
    except TimeoutError:
        return f"no answer within {ANSWER_LIMIT_S:.0f} s", {}
    finally:
        await client.close()
    return "ok", {name_of(node): "Ready" if condition_is(node, "Ready") else "NotReady" for node in nodes.items}


def _print(status: ClusterStatus) -> None:
    click.echo(f"{'cluster':12}  {status.data_dir}: {'running' if status.running else 'stopped'}")
    click.echo(f"{'api':12}  {status.server}: {status.api}")
    if status.disk != "ok":
        click.echo(f"{'disk':12}  {status.disk}")
    for part in status.parts:
        if part.running:
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(part.since))
            restarts = f", {part.restarts} restart{'s' * (part.restarts > 1)}" if part.restarts else ""
            detail = f"pid {part.pid} since {since}{restarts}"
        else:
            detail = "not running"
        click.echo(f"{part.name:12}  {detail}")
    simulated = [state for name, state in status.nodes.items() if name.startswith(NAME_PREFIX)]
    if simulated:
        click.echo(f"{'simulated':12}  {simulated.count('Ready')} of {len(simulated)} Ready")
    for name, state in sorted(status.nodes.items()):
        if not name.startswith(NAME_PREFIX):
            click.echo(f"{name:12}  {state}")
