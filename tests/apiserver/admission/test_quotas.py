import asyncio
from typing import Any

import pytest

from kajitori.api import core
from kajitori.api.dynamic_resources import RESOURCE_CLAIM
from kajitori.api.errors import Forbidden
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.quota_status import QuotaStatus
from kajitori.apiserver.admission.quotas import QuotaLedger, ResourceQuota
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN


class World:
    def __init__(self, hard: dict[str, str], **spec: Any) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects(self.clock.now())
        self.ledger = QuotaLedger(self.objects, Registry(), self.clock)
        self.plugin = ResourceQuota(self.objects, self.ledger)
        quota = {"metadata": {"name": "q", "namespace": "default"}, "spec": {"hard": hard, **spec}}
        self.objects.put(core.RESOURCE_QUOTA, quota)

    def admit(self, resource: Resource, obj: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
        obj["metadata"].setdefault("uid", f"uid-of-{obj['metadata']['name']}")
        operation = Operation.UPDATE if old else Operation.CREATE
        asked = AdmissionRequest(ADMIN, operation, resource, "default", obj["metadata"]["name"], obj, old)
        asyncio.run(self.plugin.validate(asked))
        return obj


def pod(name: str, cpu: str = "", **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    containers = [{"name": "c", "resources": resources}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": containers, **spec}}


def test_what_has_just_been_admitted_counts_before_it_is_stored() -> None:
    world = World({"pods": "2"})
    world.admit(core.POD, pod("a"))
    world.objects.put(core.POD, world.admit(core.POD, pod("b")))
    with pytest.raises(Forbidden) as refused:
        world.admit(core.POD, pod("c"))
    assert refused.value.message == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    # The first was never stored: its place is free again.
    asyncio.run(world.clock.advance(6))
    world.admit(core.POD, pod("c"))


def claim(name: str, storage: str = "1Gi", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"resources": {"requests": {"storage": storage}}, **spec},
    }


GOLD = {"matchExpressions": [{"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}]}


def test_claims_of_a_volume_attributes_class_have_a_quota_of_their_own() -> None:
    world = World({"persistentvolumeclaims": "1"}, scopeSelector=GOLD)
    silver = world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("a", volumeAttributesClassName="silver"))
    world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("b"))
    world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("c", volumeAttributesClassName="gold"))
    with pytest.raises(Forbidden, match="exceeded quota: q, requested: persistentvolumeclaims=1"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("d", volumeAttributesClassName="gold"))
    turned = {**silver, "spec": {**silver["spec"], "volumeAttributesClassName": "gold"}}
    with pytest.raises(Forbidden, match="exceeded quota: q, requested: persistentvolumeclaims=1"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, turned, old=silver)


def test_a_claim_that_still_has_a_class_counts_for_it() -> None:
    world = World({"persistentvolumeclaims": "1"}, scopeSelector=GOLD)
    leaving = claim("a", volumeAttributesClassName="silver") | {"status": {"currentVolumeAttributesClassName": "gold"}}
    world.admit(core.PERSISTENT_VOLUME_CLAIM, leaving)
    with pytest.raises(Forbidden):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("b", volumeAttributesClassName="gold"))


def test_an_update_is_charged_what_it_grows_by() -> None:
    world = World({"requests.storage": "3Gi"})
    old = world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("a", "2Gi"))
    world.objects.put(core.PERSISTENT_VOLUME_CLAIM, old)
    with pytest.raises(Forbidden) as refused:
        world.admit(core.PERSISTENT_VOLUME_CLAIM, {**old, **{"spec": claim("a", "4Gi")["spec"]}}, old=old)
    assert refused.value.message.endswith(
        "exceeded quota: q, requested: requests.storage=2Gi, used: requests.storage=2Gi, limited: requests.storage=3Gi"
    )
    world.admit(core.PERSISTENT_VOLUME_CLAIM, {**old, **{"spec": claim("a", "3Gi")["spec"]}}, old=old)


def test_devices_are_counted_by_their_class() -> None:
    name = "gold.deviceclass.resource.k8s.io/devices"
    exactly = {"deviceClassName": "gold", "allocationMode": "ExactCount", "count": 2}
    requests: list[dict[str, Any]] = [
        {"name": "a", "exactly": exactly},
        {"name": "b", "firstAvailable": [{**exactly, "name": "x"}, {**exactly, "name": "y", "count": 3}]},
    ]
    wanted = {"metadata": {"name": "c", "namespace": "default"}, "spec": {"devices": {"requests": requests}}}
    with pytest.raises(Forbidden) as refused:
        World({name: "4"}).admit(RESOURCE_CLAIM, wanted)
    assert f"requested: {name}=5" in refused.value.message
    World({name: "5"}).admit(RESOURCE_CLAIM, wanted)
    everything = {"deviceClassName": "gold", "allocationMode": "All"}
    requests[:] = [{"name": "a", "exactly": everything}]
    with pytest.raises(Forbidden, match=f"requested: {name}=32"):
        World({name: "31"}).admit(RESOURCE_CLAIM, wanted)


def test_a_place_is_free_as_soon_as_an_object_is_gone_or_over() -> None:
    world = World({"pods": "1"})
    world.objects.put(core.POD, world.admit(core.POD, pod("a")))
    over = {**pod("a"), "status": {"phase": "Succeeded"}}
    world.objects.put(core.POD, {**over, "metadata": {**over["metadata"], "uid": "uid-of-a"}})
    world.objects.put(core.POD, world.admit(core.POD, pod("b")))
    asyncio.run(world.objects.delete(core.POD, "b", "default"))
    world.admit(core.POD, pod("c"))


def test_compute_is_summed_and_has_to_be_stated() -> None:
    world = World({"requests.cpu": "1"})
    world.objects.put(core.POD, world.admit(core.POD, pod("a", "600m")))
    with pytest.raises(
        Forbidden, match=r"requested: requests\.cpu=500m, used: requests\.cpu=600m, limited: requests\.cpu=1"
    ):
        world.admit(core.POD, pod("b", "500m"))
    with pytest.raises(Forbidden, match=r"failed quota: q: must specify requests\.cpu for: c"):
        world.admit(core.POD, pod("b"))


def test_counts_of_any_kind_and_growing_claims() -> None:
    world = World({"count/configmaps": "1", "requests.storage": "3Gi", "services.nodeports": "1"})
    world.objects.put(
        core.CONFIG_MAP, world.admit(core.CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
    )
    with pytest.raises(Forbidden, match="used: count/configmaps=1"):
        world.admit(core.CONFIG_MAP, {"metadata": {"name": "b"}})

    def claim(size: str) -> dict[str, Any]:
        meta = {"name": "data", "namespace": "default"}
        return {"metadata": meta, "spec": {"resources": {"requests": {"storage": size}}}}

    stored = world.objects.put(core.PERSISTENT_VOLUME_CLAIM, world.admit(core.PERSISTENT_VOLUME_CLAIM, claim("2Gi")))
    grown = {**claim("3Gi"), "metadata": stored["metadata"]}
    world.admit(core.PERSISTENT_VOLUME_CLAIM, grown, stored)
    with pytest.raises(Forbidden, match="exceeded quota"):
        world.admit(core.PERSISTENT_VOLUME_CLAIM, {**claim("4Gi"), "metadata": stored["metadata"]}, stored)
    service = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2}]}}
    with pytest.raises(Forbidden, match=r"requested: services\.nodeports=2"):
        world.admit(core.SERVICE, service)


def test_scopes_choose_the_pods() -> None:
    world = World({"pods": "0"}, scopes=["BestEffort"])
    world.admit(core.POD, pod("a", "1"))
    with pytest.raises(Forbidden):
        world.admit(core.POD, pod("b"))
    expression = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    world = World({"pods": "0"}, scopeSelector={"matchExpressions": [expression]})
    world.admit(core.POD, pod("a"))
    with pytest.raises(Forbidden):
        world.admit(core.POD, pod("b", priorityClassName="high"))


def test_status_follows_what_is_stored() -> None:
    world = World({"pods": "2", "requests.cpu": "1"})

    async def scenario() -> list[Any]:
        task = asyncio.ensure_future(QuotaStatus(world.objects, world.ledger, world.clock).run())
        seen = []
        for name in ("", "a"):
            if name:
                world.objects.put(core.POD, pod(name, "250m"))
            await world.clock.advance(1)
            quota = world.objects.cached(core.RESOURCE_QUOTA, "q", "default")
            assert quota is not None
            seen.append(quota["status"])
        writes = world.objects.writes
        await world.clock.advance(60)
        assert world.objects.writes == writes
        task.cancel()
        return seen

    hard = {"pods": "2", "requests.cpu": "1"}
    assert asyncio.run(scenario()) == [
        {"hard": hard, "used": {"pods": "0", "requests.cpu": "0"}},
        {"hard": hard, "used": {"pods": "1", "requests.cpu": "250m"}},
    ]


def test_what_is_said_for_a_whole_pod_is_what_it_costs() -> None:
    world = World({"requests.cpu": "1", "limits.cpu": "2"})
    with pytest.raises(Forbidden, match=r"must specify limits\.cpu for: c; requests\.cpu for: c"):
        world.admit(core.POD, pod("a"))
    world.admit(core.POD, pod("a", "5", resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}))
    with pytest.raises(Forbidden, match=r"requested: requests\.cpu=500m, used: requests\.cpu=1"):
        world.admit(core.POD, pod("b", resources={"requests": {"cpu": "500m"}}))


def test_overhead_limits_nothing_that_has_no_limit() -> None:
    world = World({"limits.cpu": "2"})
    spec = {"resources": {"requests": {"cpu": "1"}}, "overhead": {"cpu": "5"}}
    world.admit(core.POD, pod("a", **spec))
