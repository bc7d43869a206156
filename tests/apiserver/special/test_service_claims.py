"""Numbers of Services are claimed in the store, which several servers share; each server has a memory of its own."""

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kajitori.api import core, networking
from kajitori.api.errors import Invalid
from kajitori.apiserver.http_types import WriteContext
from kajitori.apiserver.special.service_claims import SERVICE_NODE_PORT, SETTLED_S, ServiceClaims
from kajitori.apiserver.special.services import ServiceHooks, numbers_of
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

WRITE = WriteContext(ADMIN)
NOW_S = 1_800_000_000.0


class Store(FakeObjects):
    """What two servers share. One of them is slow to hear of Services: it never does."""

    def deaf(self) -> "DeafObjects":
        return DeafObjects(self)


class DeafObjects:
    """The same store, seen by a server whose memory has not followed yet."""

    def __init__(self, store: FakeObjects) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def subscribe(self, resource: Any, watcher: Any) -> Callable[[], None]:
        return lambda: None


class Server:
    def __init__(self, objects: Any, clock: VirtualClock, seed: int = 1) -> None:
        self.objects = objects
        self.claims = ServiceClaims(objects, clock, numbers_of)
        self.hooks = ServiceHooks(objects, "10.96.0.0/16", random.Random(seed), self.claims)

    async def create(self, name: str, **spec: Any) -> dict[str, Any]:
        obj = service(name, **spec)
        await self.hooks.before_create(obj, WRITE)
        return await self.objects.create(core.SERVICE, obj)

    async def delete(self, name: str) -> None:
        self.hooks.after_delete(await self.objects.delete(core.SERVICE, name, "default"))


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "protocol": "TCP"}]
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"metadata": metadata, "spec": {"type": "ClusterIP", "ports": ports, **spec}}


def claimed(store: FakeObjects) -> set[str]:
    kinds = (networking.IP_ADDRESS, SERVICE_NODE_PORT)
    return {obj["metadata"]["name"] for kind in kinds for obj in store.cached_list(kind)}


def play(scenario: Callable[[Store, VirtualClock], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Store(NOW_S), VirtualClock(NOW_S))

    asyncio.run(main())


async def settled(times: int = 20) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


def test_a_service_has_an_ip_address_object_as_upstream_makes_it() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        await Server(store, clock).create("web", clusterIP="10.96.0.20", type="NodePort")
        (address,) = store.cached_list(networking.IP_ADDRESS)
        assert address["metadata"]["name"] == "10.96.0.20"
        assert address["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        parent = {"resource": "services", "namespace": "default", "name": "web"}
        assert address["spec"] == {"parentRef": parent}
        assert len(claimed(store)) == 2

    play(scenario)


def test_servers_that_do_not_hear_of_each_other_give_out_different_numbers() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        # The same seed: both would take the same numbers at random.
        servers = [Server(store.deaf(), clock), Server(store.deaf(), clock)]
        made = await asyncio.gather(
            *(servers[n % 2].create(f"s{n}", type="NodePort") for n in range(40)),
        )
        assert len({obj["spec"]["clusterIP"] for obj in made}) == 40
        assert len({obj["spec"]["ports"][0]["nodePort"] for obj in made}) == 40
        await settled()
        assert claimed(store) == {claim.name for obj in made for claim in numbers_of(obj).claims()}

    play(scenario)


def test_a_number_asked_for_at_two_servers_is_given_once() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        a, b = Server(store.deaf(), clock), Server(store.deaf(), clock)
        await a.create("a", clusterIP="10.96.0.20")
        with pytest.raises(Invalid, match=r"failed to allocate IP 10\.96\.0\.20: provided IP is already allocated"):
            await b.create("b", clusterIP="10.96.0.20")
        ports = [{"port": 80, "protocol": "TCP", "nodePort": 30100}]
        await a.create("c", type="NodePort", ports=ports)
        with pytest.raises(Invalid, match=r"spec.ports\[0\].nodePort: Invalid value: 30100: provided port is already"):
            await b.create("d", type="NodePort", ports=ports)
        await settled()
        assert {"10.96.0.20", "30100"} <= claimed(store)
        assert len(claimed(store)) == 3  # nothing is left of what was refused

    play(scenario)


def test_a_number_comes_back_with_its_service() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        server = Server(store, clock)
        await server.create("a", clusterIP="10.96.0.20")
        await server.delete("a")
        await server.create("b", clusterIP="10.96.0.20")
        await server.delete("b")
        await settled()
        assert claimed(store) == set()

    play(scenario)


def test_a_number_that_an_update_drops_comes_back() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        server = Server(store, clock)
        old = await server.create("a", type="NodePort")
        new = copy.deepcopy(old)
        new["spec"]["type"] = "ClusterIP"
        assert core.SERVICE.prepare_update is not None
        core.SERVICE.prepare_update(new, old)
        await server.hooks.before_update(new, old, WRITE)
        server.hooks.after_update(store.put(core.SERVICE, new), old)
        await settled()
        assert claimed(store) == {old["spec"]["clusterIP"]}

    play(scenario)


def test_a_failed_write_gives_its_claims_back() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        server = Server(store, clock)
        obj = service("a", type="NodePort")
        await server.hooks.before_create(obj, WRITE)
        assert len(claimed(store)) == 2
        server.hooks.rollback(obj)
        await settled()
        assert claimed(store) == set()

    play(scenario)


def test_a_refused_twin_does_not_take_the_claim_away() -> None:
    """Two servers create the same Service with the same address; one of them is too late."""

    async def scenario(store: Store, clock: VirtualClock) -> None:
        a, b = Server(store.deaf(), clock), Server(store.deaf(), clock)
        await a.create("same", clusterIP="10.96.0.20")
        late = service("same", clusterIP="10.96.0.20")
        late["metadata"]["uid"] = "other"
        await b.hooks.before_create(late, WRITE)
        b.hooks.rollback(late)
        await settled()
        assert claimed(store) == {"10.96.0.20"}

    play(scenario)


def test_claims_are_repaired() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        # Of a version before there were claims.
        store.put(core.SERVICE, service("old", clusterIP="10.96.0.30", clusterIPs=["10.96.0.30"]))
        # A user's own, labelled like ours: none of our range, and no reason to stop.
        labels = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
        store.put(networking.IP_ADDRESS, {"metadata": {"name": "2001:db8::1", "labels": labels}, "spec": {}})
        server = Server(store, clock)
        await server.claims.take(service("never"), numbers_of(service("never", clusterIP="10.96.0.31")))
        task = asyncio.create_task(server.claims.run())
        await settled()
        assert claimed(store) == {"2001:db8::1", "10.96.0.30", "10.96.0.31"}  # its Service may be about to come
        await clock.advance(SETTLED_S + 1)
        assert claimed(store) == {"2001:db8::1", "10.96.0.30"}
        await store.delete(networking.IP_ADDRESS, "10.96.0.30")
        await clock.advance(SETTLED_S + 1)
        assert claimed(store) == {"2001:db8::1", "10.96.0.30"}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    play(scenario)


def test_what_was_left_behind_is_taken_over_by_who_asks_for_it() -> None:
    async def scenario(store: Store, clock: VirtualClock) -> None:
        server = Server(store, clock)
        await server.claims.take(service("never"), numbers_of(service("never", clusterIP="10.96.0.31")))
        with pytest.raises(Invalid):
            await server.create("web", clusterIP="10.96.0.31")
        await clock.advance(SETTLED_S + 1)
        await server.create("web", clusterIP="10.96.0.31")

    play(scenario)
