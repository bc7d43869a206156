"""`kajitori down`: stops what `up` started; with --purge, removes what it made."""

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import click

from kajitori.app.layout import Layout
from kajitori.app.locks import is_running
from kajitori.app.node_parts import containerd_config, ingress_config, kubelet_config
from kajitori.app.record import ClusterRecord, require_record
from kajitori.app.supervise import STOP_LIMIT_S
from kajitori.cli.interface import CommandError
from kajitori.kit.clock import Clock, SystemClock
from kajitori.kubelet.cri_runtime import CriRuntime
from kajitori.kubelet.purge import halt_node, purge_node
from kajitori.network.ingress.envoy import Envoy, EnvoyConfig
from kajitori.network.removal import remove_all


def down(data_dir: Path, purge: bool) -> None:
    layout = Layout(data_dir)
    record = require_record(layout)
    began = time.monotonic()
    _stop_supervisor(layout)
    if record.nodes:
        if os.geteuid() != 0:
            raise CommandError(f"the nodes of {data_dir} can be stopped by root only: sudo kajitori down")
        asyncio.run(_stop_nodes(layout, record, purge=purge))
    if purge:
        shutil.rmtree(layout.runtime, ignore_errors=True)
        shutil.rmtree(layout.root)
    what = "removed" if purge else "stopped"
    click.echo(f"{what} {data_dir} in {time.monotonic() - began:.1f} s", err=True)


def _stop_supervisor(layout: Layout) -> None:
    """Returns when the processes of the control plane and the node agents have ended."""
    if not is_running(layout):
        return
    try:
        pid = int(layout.supervisor_pid.read_text())
        descriptor = os.pidfd_open(pid)
    except (OSError, ValueError):
        return
    try:
        os.kill(pid, signal.SIGTERM)
        asyncio.run(_ended(descriptor, pid))
    finally:
        os.close(descriptor)


async def _ended(descriptor: int, pid: int) -> None:
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), 2 * STOP_LIMIT_S)
    except TimeoutError:
        raise CommandError(
            f"the supervisor (pid {pid}) did not stop within {2 * STOP_LIMIT_S:.0f} s: end it with `kill -9 {pid}`, "
            "then run this again"
        ) from None


async def _stop_nodes(layout: Layout, record: ClusterRecord, *, purge: bool) -> None:
    clock = SystemClock()
    await asyncio.gather(*(_stop_node(layout, record, name, clock, purge=purge) for name in record.node_names))
    if purge:
        await remove_all()


async def _stop_node(layout: Layout, record: ClusterRecord, node: str, clock: Clock, *, purge: bool) -> None:
    ingress = ingress_config(layout, record, node)
    if ingress.directory.exists():
        await Envoy(EnvoyConfig(ingress.directory, ingress.listen, node_name=node), clock).stop()
    containerd, kubelet = containerd_config(layout, node), kubelet_config(layout, node)
    if not purge:
        await halt_node(containerd, kubelet.cgroup, clock)
        return
    runtime = CriRuntime(str(containerd.socket)) if containerd.socket.exists() else None
    try:
        await purge_node(containerd, kubelet.cgroup, clock, runtime, (layout.node(node).root,))
    finally:
        if runtime is not None:
            await runtime.close()
