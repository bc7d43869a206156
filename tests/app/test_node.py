"""When a node process calls itself ready."""

import asyncio

from kajitori.api.core import NODE
from kajitori.api.times import timestamp
from kajitori.app.node import _node_ready
from kajitori.client.cache import Cache
from kajitori.kit.clock import VirtualClock
from kajitori.testing.cluster import ControlPlane


def _status(heartbeat_s: float, ready: str) -> dict[str, object]:
    condition = {"type": "Ready", "status": ready, "lastHeartbeatTime": timestamp(heartbeat_s)}
    return {"status": {"conditions": [condition]}}


def test_a_heartbeat_of_an_earlier_run_does_not_count() -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with ControlPlane(clock=clock) as plane:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
            await plane.client.create(NODE, node)
            began_s = clock.now()
            await plane.client.patch(NODE, "n", _status(began_s - 60, "True"), subresource="status")
            cache = Cache(plane.client, clock)
            running = asyncio.ensure_future(cache.run())
            waiting = asyncio.ensure_future(_node_ready(cache, "n", began_s))
            await clock.advance(5)
            assert not waiting.done()
            await plane.client.patch(NODE, "n", _status(clock.now(), "False"), subresource="status")
            await clock.advance(5)
            assert not waiting.done()
            await plane.client.patch(NODE, "n", _status(clock.now(), "True"), subresource="status")
            await clock.advance(5)
            assert waiting.done()
            running.cancel()

    asyncio.run(scenario())
