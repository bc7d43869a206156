"""Simulated nodes on a real API server in this process, on virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kajitori.api.coordination import LEASE
from kajitori.api.core import NODE, POD, SERVICE_ACCOUNT
from kajitori.api.errors import Forbidden, NotFound
from kajitori.api.meta import Object, condition_is, name_of
from kajitori.api.times import parse_timestamp
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.local_client import LocalClient
from kajitori.client.cache import Cache
from kajitori.client.interface import Client
from kajitori.kit.clock import VirtualClock
from kajitori.sim.node import LEASE_NAMESPACE
from kajitori.sim.nodes import SimConfig, SimulatedNodes
from kajitori.testing.cluster import ControlPlane
from kajitori.testing.secured import secured_server


@asynccontextmanager
async def simulated(plane: ControlPlane, nodes: int) -> AsyncIterator[SimulatedNodes]:
    async with simulated_by(plane.client, plane.virtual, nodes) as simulation:
        yield simulation


@asynccontextmanager
async def simulated_by(client: Client, clock: VirtualClock, nodes: int) -> AsyncIterator[SimulatedNodes]:
    cache = Cache(client, clock)
    simulation = SimulatedNodes(SimConfig(nodes=nodes, workers=2), client, cache, clock)
    tasks = [asyncio.ensure_future(cache.run()), asyncio.ensure_future(simulation.run())]
    try:
        await asyncio.wait_for(simulation.ready.wait(), 60)
        yield simulation
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def bound_pod(name: str, node: str, **spec: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "i"}], **spec},
    }


async def phase_of(plane: ControlPlane, name: str) -> str:
    return str((await plane.client.get(POD, name, "default"))["status"]["phase"])


def test_nodes_register_ready_with_a_lease_that_is_renewed() -> None:
    async def scenario() -> None:
        async with ControlPlane() as plane, simulated(plane, 3):
            nodes = (await plane.client.list(NODE)).items
            assert [name_of(node) for node in nodes] == ["simulated-1", "simulated-2", "simulated-3"]
            assert all(condition_is(node, "Ready") for node in nodes)
            assert nodes[0]["status"]["allocatable"]["cpu"] == "4"
            first = await plane.client.get(LEASE, "simulated-2", LEASE_NAMESPACE)
            await plane.virtual.advance(25)
            second = await plane.client.get(LEASE, "simulated-2", LEASE_NAMESPACE)
            ages = [plane.virtual.now() - parse_timestamp(lease["spec"]["renewTime"]) for lease in (first, second)]
            assert ages[1] < 20 <= ages[0]

    asyncio.run(scenario())


def test_bound_pods_run_others_are_not_touched_and_deleted_ones_go() -> None:
    async def scenario() -> None:
        async with ControlPlane() as plane, simulated(plane, 2):
            await plane.add(bound_pod("ours", "simulated-2"))
            await plane.add(bound_pod("once", "simulated-1", restartPolicy="Never"))
            await plane.add(bound_pod("other", "elsewhere"))
            await plane.virtual.advance(1)
            phases = [await phase_of(plane, name) for name in ("ours", "once", "other")]
            assert phases == ["Running", "Succeeded", "Pending"]
            await plane.client.delete(POD, "ours", "default")
            await plane.virtual.advance(1)
            try:
                await plane.client.get(POD, "ours", "default")
            except NotFound:
                return
            raise AssertionError("the pod is still there")

    asyncio.run(scenario())


def test_another_run_with_fewer_nodes_removes_the_others_and_keeps_addresses() -> None:
    async def scenario() -> None:
        async with ControlPlane() as plane:
            async with simulated(plane, 3):
                await plane.add(bound_pod("a", "simulated-1"))
                await plane.virtual.advance(1)
                before = (await plane.client.get(POD, "a", "default"))["status"]["podIP"]
            async with simulated(plane, 1):
                await plane.add(bound_pod("b", "simulated-1"))
                await plane.virtual.advance(1)
                names = [name_of(node) for node in (await plane.client.list(NODE)).items]
                assert names == ["simulated-1"]
                addresses = [(await plane.client.get(POD, name, "default"))["status"]["podIP"] for name in "ab"]
                assert addresses[0] == before != addresses[1]

    asyncio.run(scenario())


def test_its_own_rights_are_enough_and_not_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = VirtualClock()
        async with secured_server(tmp_path, clock) as secured:
            admin = LocalClient(secured.server)
            groups = ("system:authenticated",)
            own = LocalClient(secured.server, User("system:kajitori:simulator", groups))
            await admin.create(SERVICE_ACCOUNT, {"metadata": {"name": "default", "namespace": "default"}})
            async with simulated_by(own, clock, 2):
                await admin.create(POD, bound_pod("web", "simulated-1"))
                await clock.advance(25)
                assert (await admin.get(POD, "web", "default"))["status"]["phase"] == "Running"
                lease = await admin.get(LEASE, "simulated-2", LEASE_NAMESPACE)
                assert clock.now() - parse_timestamp(lease["spec"]["renewTime"]) < 20
                await admin.delete(POD, "web", "default")
                await clock.advance(1)
                with pytest.raises(NotFound):
                    await admin.get(POD, "web", "default")
            async with simulated_by(own, clock, 1):
                assert [name_of(node) for node in (await admin.list(NODE)).items] == ["simulated-1"]
            with pytest.raises(Forbidden):
                await own.create(POD, bound_pod("mine", "simulated-1"))
            with pytest.raises(Forbidden):
                await own.create(SERVICE_ACCOUNT, {"metadata": {"name": "mine", "namespace": "default"}})

    asyncio.run(scenario())
