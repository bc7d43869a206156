"""`kajitori down`: stops what `up` started; with --purge, removes what it made.

Works on whatever an `up` left behind: without its supervisor, without a readable record, half made.
"""

import asyncio
import os
import time
from pathlib import Path

import click

from kajitori.app import data_dir
from kajitori.app.failure import one_line
from kajitori.app.layout import Layout
from kajitori.app.locks import host_is_free, is_running, lock_data_dir, supervisor_of
from kajitori.app.processes import STOP_LIMIT_S, end_orphans, end_process, stop_limit_s
from kajitori.app.record import BrokenRecord, ClusterRecord, read_record
from kajitori.cli.interface import CommandError


def down(root: Path, purge: bool) -> None:
    layout = Layout(root)
    began = time.monotonic()
    if not data_dir.entries(layout) or not data_dir.is_ours(layout):
        raise CommandError(f"there is no cluster in {root}, so there is nothing to stop: name another with --data-dir")
    record = _record(layout)
    nodes = _nodes(layout, record)
    if nodes and os.geteuid() != 0:
        raise CommandError(f"the nodes of {root} can be stopped by root only: sudo kajitori down --data-dir {root}")
    _stop_supervisor(layout, stop_limit_s(record) + STOP_LIMIT_S)
    held = lock_data_dir(layout)
    try:
        end_orphans(layout)
        if nodes:
            _stop_nodes(layout, record, nodes, purge=purge)
        left = data_dir.remove(layout) if purge else []
    finally:
        os.close(held)
    click.echo(f"{'removed' if purge else 'stopped'} {root} in {time.monotonic() - began:.1f} s", err=True)
    if left:
        click.echo(f"kept in {root}, not being Kajitori's: {', '.join(left)}", err=True)


def _record(layout: Layout) -> ClusterRecord:
    """A record that is missing or broken does not keep anything from being stopped; one of another format does."""
    try:
        return read_record(layout) or ClusterRecord(nodes=0)
    except BrokenRecord as error:
        click.echo(f"{error}; going by the folders instead", err=True)
        return ClusterRecord(nodes=0)


def _nodes(layout: Layout, record: ClusterRecord) -> list[str]:
    """Also the nodes of an earlier `up` with more of them."""
    folder = layout.node("x").root.parent
    found = {path.name for path in folder.glob("node-*")} if folder.is_dir() else set()
    return sorted(found | set(record.node_names))


def _stop_supervisor(layout: Layout, limit_s: float) -> None:
    """Returns when the processes of the control plane and the node agents have ended."""
    if not is_running(layout):
        return
    pid = supervisor_of(layout)
    if pid is None:
        raise CommandError(f"{layout.lock} is held by a process that did not note its number: try again in a second")
    try:
        gone = asyncio.run(end_process(pid, limit_s, kill=False))
    except PermissionError as error:
        raise CommandError(f"the cluster belongs to another user (pid {pid}): run this as root (sudo)") from error
    if not gone:
        raise CommandError(
            f"the supervisor (pid {pid}) did not stop within {limit_s:.0f} s: end it with `kill -9 {pid}`, "
            "then run this again"
        )


def _stop_nodes(layout: Layout, record: ClusterRecord, nodes: list[str], *, purge: bool) -> None:
    # Imported here: a control plane alone needs none of what a node does.
    from kajitori.app.node_removal import remove_network, stop_node
    from kajitori.network.errors import NetworkError

    async def stop() -> None:
        async with asyncio.TaskGroup() as group:
            for node in nodes:
                group.create_task(stop_node(layout, record, node, purge=purge))
        # The network is named by the host, not by the cluster: while another one runs here, it is in use.
        if purge and host_is_free():
            await remove_network()

    try:
        asyncio.run(stop())
    except* (NetworkError, OSError) as errors:
        raise CommandError(
            f"not everything of {layout.root} could be stopped: {one_line(errors)}; run this again"
        ) from errors
