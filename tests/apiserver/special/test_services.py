import asyncio
import random
from typing import Any

import pytest

from kajitori.api import core
from kajitori.api.errors import Invalid
from kajitori.apiserver.http_types import WriteContext
from kajitori.apiserver.special.number_pool import Exhausted, NumberPool
from kajitori.apiserver.special.services import ServiceHooks
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

WRITE = WriteContext(ADMIN)


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    obj = {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP"}], "selector": {"a": "b"}, **spec},
    }
    assert core.SERVICE.default is not None
    core.SERVICE.default(obj)
    return obj


class World:
    def __init__(self) -> None:
        self.objects = FakeObjects()
        self.hooks = ServiceHooks(self.objects, "10.96.0.0/16", random.Random(1))

    def create(self, obj: dict[str, Any]) -> dict[str, Any]:
        asyncio.run(self.hooks.before_create(obj, WRITE))
        return self.objects.put(core.SERVICE, obj)

    def update(self, new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
        kind = core.SERVICE
        assert kind.prepare_update and kind.revalidate
        kind.prepare_update(new, old)
        assert [str(error) for error in kind.revalidate(new, old)] == []
        asyncio.run(self.hooks.before_update(new, old, WRITE))
        return self.objects.put(core.SERVICE, new)


def test_cluster_ip_comes_from_the_upper_band() -> None:
    spec = World().create(service())["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["clusterIP"].startswith("10.96.")
    assert not spec["clusterIP"].startswith("10.96.0.")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_an_ip_asked_for_by_name_is_given_once_and_returned_with_its_service() -> None:
    world = World()
    world.create(service("dns", clusterIP="10.96.0.10"))
    with pytest.raises(Invalid) as refused:
        world.create(service("other", clusterIP="10.96.0.10"))
    assert refused.value.message == (
        'Service "other" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: '
        "failed to allocate IP 10.96.0.10: provided IP is already allocated"
    )
    with pytest.raises(Invalid, match="the provided network does not match the current range"):
        world.create(service("other", clusterIP="10.97.0.10"))
    asyncio.run(world.objects.delete(core.SERVICE, "dns", "default"))
    assert world.create(service("other", clusterIP="10.96.0.10"))["spec"]["clusterIP"] == "10.96.0.10"


def test_headless_and_external_name_take_nothing() -> None:
    world = World()
    headless = world.create(service("h", clusterIP="None"))["spec"]
    assert (headless["clusterIPs"], headless["ipFamilyPolicy"]) == (["None"], "SingleStack")
    by_hand = world.create(service("m", clusterIP="None", selector=None))["spec"]
    assert by_hand["ipFamilyPolicy"] == "RequireDualStack"
    external = world.create(service("e", type="ExternalName", externalName="db.example.com"))["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies"} & set(external)


def test_node_ports_are_unique_and_shared_by_protocols_of_one_port() -> None:
    world = World()
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}, {"port": 80, "protocol": "TCP"}]
    given = [p["nodePort"] for p in world.create(service(type="NodePort", ports=ports))["spec"]["ports"]]
    assert given[0] == given[1] != given[2]
    assert all(30086 <= port <= 32767 for port in given)
    taken = [{"port": 80, "protocol": "TCP", "nodePort": given[0]}]
    with pytest.raises(
        Invalid, match=rf"spec.ports\[0\].nodePort: Invalid value: {given[0]}: provided port is already"
    ):
        world.create(service("other", type="NodePort", ports=taken))
    with pytest.raises(Invalid, match="The range of valid ports is 30000-32767"):
        world.create(service("other", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))


def test_what_was_given_stays_through_updates_and_cannot_be_changed() -> None:
    world = World()
    old = world.create(service(type="NodePort"))
    same = world.update(service(type="NodePort"), old)
    assert same["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    assert same["spec"]["ports"] == old["spec"]["ports"]
    with pytest.raises(AssertionError, match="may not change once set"):
        world.update(service(type="NodePort", clusterIP="10.96.0.99"), old)
    closed = world.update({**service(), "spec": {**same["spec"], "type": "ClusterIP"}}, same)
    assert "nodePort" not in closed["spec"]["ports"][0]


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_who_becomes_an_external_name_loses_what_it_was_given(kind: str) -> None:
    world = World()
    old = world.create(service(type=kind))
    external = {**old["spec"], "type": "ExternalName", "externalName": "db.example.com"}
    spec = world.update({**service(), "spec": external}, old)["spec"]
    assert {field for field in spec if field.startswith(("clusterIP", "ipFamil", "internal", "allocate"))} == set()
    assert "nodePort" not in spec["ports"][0]


def test_a_refused_write_returns_what_it_held() -> None:
    world = World()
    obj = service(clusterIP="10.96.0.20")
    asyncio.run(world.hooks.before_create(obj, WRITE))
    world.hooks.rollback(obj)
    world.create(service("other", clusterIP="10.96.0.20"))


def test_a_dry_run_asks_whether_an_ip_could_be_given_and_not_whose_it_is() -> None:
    world, dry = World(), WriteContext(ADMIN, dry_run=True)
    world.create(service("dns", clusterIP="10.96.0.10"))
    asyncio.run(world.hooks.before_create(service("other", clusterIP="10.96.0.10"), dry))
    with pytest.raises(Invalid, match=r"not in the valid range. The range of valid IPs is 10\.96\.0\.0/16"):
        asyncio.run(world.hooks.before_create(service("other", clusterIP="10.97.0.10"), dry))
    with pytest.raises(Invalid, match="already allocated"):
        world.create(service("other", clusterIP="10.96.0.10"))


def test_dry_run_holds_nothing() -> None:
    world = World()
    obj = service(type="NodePort")
    asyncio.run(world.hooks.before_create(obj, WriteContext(ADMIN, dry_run=True)))
    assert obj["spec"]["clusterIP"] == "10.96.0.0"
    assert obj["spec"]["ports"][0]["nodePort"] == 32769
    asked = service(clusterIP="10.96.0.20")
    asyncio.run(world.hooks.before_create(asked, WriteContext(ADMIN, dry_run=True)))
    world.create(service("other", clusterIP="10.96.0.20"))


def test_what_is_stored_is_known_after_a_restart() -> None:
    world = World()
    world.create(service("dns", clusterIP="10.96.0.10"))
    restarted = ServiceHooks(world.objects, "10.96.0.0/16", random.Random(2))
    with pytest.raises(Invalid):
        asyncio.run(restarted.before_create(service("b", clusterIP="10.96.0.10"), WRITE))


def test_a_pool_uses_the_static_band_last_and_then_is_exhausted() -> None:
    pool = NumberPool(100, 8, 4, random.Random(1))
    assert sorted(pool.take_any(str(n)) for n in range(4)) == [104, 105, 106, 107]
    assert pool.take_any("x") == 100
    for n in range(3):
        pool.take_any(f"y{n}")
    with pytest.raises(Exhausted):
        pool.take_any("z")
