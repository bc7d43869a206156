"""Two API servers on one store: together they admit all that a quota has room for, and no more."""

import asyncio
import random
from contextlib import asynccontextmanager

import pytest

from kajitori.api.core import CONFIG_MAP, NAMESPACE, PERSISTENT_VOLUME_CLAIM, RESOURCE_QUOTA
from kajitori.api.errors import Forbidden
from kajitori.api.registry import BUILTIN, Registry
from kajitori.apiserver.admission.plugin import Chain
from kajitori.apiserver.admission.quota_sharing import KEPT_S, QUOTA_RESERVATIONS
from kajitori.apiserver.admission.quota_status import QuotaStatus
from kajitori.apiserver.admission.quotas import QuotaLedger, ResourceQuota
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.local_client import LocalClient
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import VirtualClock
from kajitori.storage.memory import MemoryStorage


class SharedStorage(MemoryStorage):
    """Each server hears of the others' writes some turns of the event loop late, and its own take some."""

    def __init__(self, rng):
        super().__init__()
        self.rng = rng
        self.keys = []

    def known_revision(self):
        super().known_revision()
        return None

    async def revision(self):
        await self.pause()
        return MemoryStorage.known_revision(self)

    async def pause(self):
        for _ in range(self.rng.randrange(6)):
            await asyncio.sleep(0)

    async def commit(self, change, expect=None):
        await self.pause()
        self.keys.append(change.key)
        revision = await super().commit(change, expect)
        await self.pause()
        return revision

    async def watch(self, prefix, after):
        async for event in super().watch(prefix, after):
            await self.pause()
            yield event


class Server:
    def __init__(self, storage, clock):
        self.server = ApiServer(storage, Registry(BUILTIN), clock, rng=random.Random(storage.rng.random()))
        self.client = LocalClient(self.server)

    async def start(self):
        await self.server.start()
        objects, clock = self.server.objects, self.server.clock
        self.ledger = QuotaLedger(objects, self.server.registry, clock)
        self.server.install(Extension(admission=[Chain([ResourceQuota(objects, self.ledger)])]))
        self.status = asyncio.create_task(QuotaStatus(objects, self.ledger, clock).run())

    async def stop(self):
        self.status.cancel()
        await asyncio.gather(self.status, return_exceptions=True)
        self.ledger.stop()
        await self.server.stop()


class World:
    def __init__(self, seed):
        self.clock = VirtualClock()
        self.rng = random.Random(seed)
        self.storage = SharedStorage(self.rng)

    async def started(self):
        server = Server(self.storage, self.clock)
        await server.start()
        return server

    async def settled(self):
        for _ in range(5):
            await self.clock.advance(0.2)

    async def quota(self, **hard):
        obj = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard}}
        await self.a.client.create(RESOURCE_QUOTA, obj)
        await self.settled()

    async def create(self, server, name, namespace="default"):
        return await server.client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": namespace}})

    async def present(self):
        return {obj["metadata"]["name"] for obj in (await self.a.client.list(CONFIG_MAP, "default")).items}


@asynccontextmanager
async def two_servers(seed=0):
    world = World(seed)
    world.a, world.b = await world.started(), await world.started()
    for name in ("default", "other"):
        await world.a.client.create(NAMESPACE, {"metadata": {"name": name}})
    await world.settled()
    yield world
    await world.a.stop()
    await world.b.stop()


def run(scenario, seed=0):
    async def main():
        async with two_servers(seed) as world:
            await scenario(world)

    asyncio.run(main())


def admitted(answers):
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    assert all(isinstance(answer, Forbidden) and "exceeded quota: q" in answer.message for answer in refused), refused
    return len(answers) - len(refused)


@pytest.mark.parametrize("seed", range(15))
def test_together_they_admit_what_there_is_room_for_and_no_more(seed):
    async def scenario(world):
        await world.quota(configmaps="7")
        creates = [
            world.create(server, f"{side}{n}") for n in range(12) for side, server in (("a", world.a), ("b", world.b))
        ]
        assert admitted(await asyncio.gather(*creates, return_exceptions=True)) == 7
        assert len(await world.present()) == 7
        await world.settled()
        quota = await world.b.client.get(RESOURCE_QUOTA, "q", "default")
        assert quota["status"]["used"] == {"configmaps": "7"}

    run(scenario, seed)


@pytest.mark.parametrize("seed", range(6))
def test_it_stays_so_while_objects_come_and_go(seed):
    async def scenario(world):
        await world.quota(configmaps="3")
        most = 0

        async def churn(server, side):
            nonlocal most
            for n in range(15):
                try:
                    await world.create(server, f"{side}{n}")
                except Forbidden:
                    continue
                present = await world.storage.scan("/registry/core/configmaps/default/")
                most = max(most, len(present.records))
                await server.client.delete(CONFIG_MAP, f"{side}{n}", "default")

        sides = [churn(server, f"{n}{side}") for n in range(4) for side, server in (("a", world.a), ("b", world.b))]
        await asyncio.gather(*sides)
        assert 2 <= most <= 3
        # Every place is free again at once.
        for n in range(3):
            await world.create(world.b, f"last{n}")

    run(scenario, seed)


def test_a_place_is_free_as_soon_as_its_object_was_deleted_through_the_other_server():
    async def scenario(world):
        await world.quota(configmaps="1")
        for turn in range(10):
            one, other = (world.a, world.b) if turn % 2 else (world.b, world.a)
            await world.create(one, "x")
            with pytest.raises(Forbidden):
                await world.create(other, "y")
            await other.client.delete(CONFIG_MAP, "x", "default")

    run(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_claims_grow_through_both_servers_within_the_limit(seed):
    def claim(name, size):
        metadata = {"name": name, "namespace": "default"}
        resources = {"requests": {"storage": size}}
        return {"metadata": metadata, "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}

    async def scenario(world):
        await world.quota(**{"requests.storage": "10Gi"})
        for name in ("x", "y"):
            made = await world.a.client.create(PERSISTENT_VOLUME_CLAIM, claim(name, "1Gi"))
            made["status"] = {"phase": "Bound"}
            await world.a.client.update(PERSISTENT_VOLUME_CLAIM, made, subresource="status")
        grow = {"spec": {"resources": {"requests": {"storage": "6Gi"}}}}
        answers = await asyncio.gather(
            *(
                server.client.patch(PERSISTENT_VOLUME_CLAIM, name, grow, "default")
                for name, server in (("x", world.a), ("y", world.b))
            ),
            return_exceptions=True,
        )
        assert admitted(answers) == 1, answers

    run(scenario, seed)


def test_a_server_that_died_after_admitting_keeps_the_place_for_a_while_only():
    async def scenario(world):
        await world.quota(configmaps="1")
        reservation = {"kind": ["", "configmaps"], "insteadOf": "", "usage": {"q": {"configmaps": [10**9, "decimal"]}}}
        lost = {"metadata": {"name": "default"}, "reservations": {"never-stored": reservation}}
        await world.a.server.objects.create(QUOTA_RESERVATIONS, lost)
        for _ in range(2):
            with pytest.raises(Forbidden):
                await world.create(world.b, "x")
        await world.clock.advance(KEPT_S + 1)
        await world.create(world.b, "x")

    run(scenario)


def test_without_a_quota_nothing_is_reserved_and_with_the_last_one_reservations_go():
    async def scenario(world):
        await world.quota(configmaps="5")
        await world.create(world.a, "x", namespace="other")
        assert not any("quotareservations" in key for key in world.storage.keys)
        await world.create(world.a, "x")
        await world.create(world.b, "y")
        key = "/registry/core/quotareservations/default"
        assert await world.storage.read(key) is not None
        await world.b.client.delete(RESOURCE_QUOTA, "q", "default")
        await world.settled()
        assert await world.storage.read(key) is None

    run(scenario)


def test_a_dry_run_reserves_nothing():
    async def scenario(world):
        await world.quota(configmaps="1")
        path, body = "/api/v1/namespaces/default/configmaps?dryRun=All", b'{"metadata":{"name":"x"}}'
        for _ in range(3):
            assert (await world.a.client.raw("POST", path, body))[0] == 201
        await world.create(world.b, "x")
        assert (await world.a.client.raw("POST", path, body))[0] == 403

    run(scenario)
