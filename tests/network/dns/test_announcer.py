"""A node's name server is in the Service as long as the Node is there."""

import asyncio

import pytest

from kajitori.api.core import NODE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, uid_of
from kajitori.controllers.discovery import DiscoveryController
from kajitori.controllers.garbage.collector import GarbageCollector
from kajitori.controllers.run import ControllerManager
from kajitori.network.dns.service import Announcer
from kajitori.testing.cluster import ControlPlane


def test_the_slice_follows_its_node() -> None:
    async def scenario() -> None:
        async with ControlPlane() as plane:
            manager = ControllerManager(plane.client, plane.clock, [DiscoveryController, GarbageCollector])
            announcer = Announcer(plane.client, manager.cache.informer(NODE), plane.clock, "one", "10.89.0.1")
            tasks = [asyncio.ensure_future(work) for work in (manager.run(), announcer.run())]

            async def found() -> Object:
                return await plane.client.get(ENDPOINT_SLICE, "kube-dns-one", "kube-system")

            await plane.virtual.advance(5)
            assert not announcer.announced.is_set()
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
            await plane.client.create(NODE, {**node, "metadata": {"name": "two"}})
            for _ in range(2):
                created = await plane.client.create(NODE, node)
                await plane.virtual.advance(5)
                assert announcer.announced.is_set()
                assert (await found())["metadata"]["ownerReferences"][0]["uid"] == uid_of(created)
                await plane.client.delete(NODE, "one")
                await plane.virtual.advance(10)
                with pytest.raises(NotFound):
                    await found()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())
