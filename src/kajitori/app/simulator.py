"""The simulated nodes of a cluster as one process."""

import asyncio

from kajitori.app.access import client_of
from kajitori.app.layout import Layout
from kajitori.app.notify import notify_ready
from kajitori.app.prepare import SIMULATOR
from kajitori.app.record import require_record
from kajitori.app.running import run_until
from kajitori.cli.interface import PartOptions
from kajitori.client.cache import Cache
from kajitori.kit.clock import SystemClock
from kajitori.sim.nodes import SimConfig, SimulatedNodes


async def run_simulator(options: PartOptions, stopping: asyncio.Event) -> None:
    """As many as the record of the data directory says; beside real nodes, they are tainted."""
    record = require_record(Layout(options.data_dir))
    clock = SystemClock()
    client = client_of(options, SIMULATOR, clock)
    cache = Cache(client, clock)
    config = SimConfig(nodes=record.simulated_nodes, tainted=record.nodes > 0)
    nodes = SimulatedNodes(config, client, cache, clock)

    async def notify() -> None:
        await nodes.ready.wait()
        notify_ready()
        await asyncio.Event().wait()

    await run_until(stopping, cache.run(), nodes.run(), notify())
