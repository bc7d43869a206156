"""`kajitori image load`: an archive into the containerd of every node."""

import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from kajitori.app.layout import Layout, NodeLayout
from kajitori.app.locks import is_running
from kajitori.app.record import require_record
from kajitori.cli.interface import CommandError

LOADS_AT_ONCE = 2


def load_images(data_dir: Path, archives: Sequence[Path]) -> None:
    layout = Layout(data_dir)
    record = require_record(layout)
    if not is_running(layout):
        raise CommandError(f"the cluster in {data_dir} is not running: start it with `kajitori up`")
    if not record.nodes:
        raise CommandError(f"the cluster in {data_dir} has no nodes to load images into: start it with --nodes 1")
    jobs = [(name, layout.node(name), archive) for name in record.node_names for archive in archives]
    with ThreadPoolExecutor(LOADS_AT_ONCE) as pool:
        for (name, _, archive), images in zip(jobs, pool.map(lambda job: _load(*job), jobs), strict=True):
            click.echo(f"{name}: loaded {', '.join(images) or archive}", err=True)


def _load(node_name: str, node: NodeLayout, archive: Path) -> list[str]:
    """The names that containerd gave the images."""
    if not node.containerd_socket.exists():
        raise CommandError(
            f"the containerd of {node_name} does not run, so nothing can be loaded into it: see `kajitori status`"
        )
    command = ["ctr", "--address", str(node.containerd_socket), "--namespace", "k8s.io"]
    result = subprocess.run(
        [*command, "images", "import", "--all-platforms", str(archive)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        why = (result.stderr.strip().splitlines() or ["ctr said nothing"])[-1]
        raise CommandError(f"{archive} could not be loaded into {node_name}: {why}; is it an OCI or Docker archive?")
    return [line.split()[1] for line in result.stdout.splitlines() if line.startswith("unpacking ")]
