import asyncio
import copy
import random
from typing import Any

import pytest

from kajitori.api.meta import condition_is, condition_of
from kajitori.api.registry import Registry
from kajitori.apiserver.http_types import WriteContext
from kajitori.apiserver.special.custom_resources import kinds_of
from kajitori.apiserver.special.definition_status import status_of
from kajitori.apiserver.special.definitions import CRD, CustomResourceDefinitions
from kajitori.apiserver.special.json_path import compile_path
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {"size": {"type": "integer", "default": 1, "maximum": 9}, "name": {"type": "string"}},
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


def definition(plural: str = "widgets", kind: str = "Widget", **version: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": SCHEMA},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                    **version,
                }
            ],
        },
    }


async def no_webhook(client_config: dict[str, Any], body: bytes, timeout_s: float) -> bytes:
    raise AssertionError("no conversion is expected")


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects(self.clock.now())
        self.registry = Registry(())
        self.custom = CustomResourceDefinitions(self.objects, self.registry, self.clock, no_webhook, random.Random(0))

    async def create(self, crd: dict[str, Any]) -> dict[str, Any]:
        crd = copy.deepcopy(crd)
        await self.custom.before_create(crd, WriteContext(ADMIN))
        return self.objects.put(CRD, crd)


def test_a_definition_is_established_and_served() -> None:
    world = World()
    stored = asyncio.run(world.create(definition()))
    assert condition_is(stored, "Established")
    assert stored["status"]["acceptedNames"]["kind"] == "Widget"
    resource = world.registry.by_path("example.com", "v1", "widgets")
    assert resource is not None
    assert [s.name for s in resource.subresources] == ["status"]
    obj: dict[str, Any] = {"metadata": {"name": "w", "creationTimestamp": "2027-01-15T07:59:00Z"}, "spec": {}}
    assert resource.default is not None
    assert resource.validate is not None
    resource.default(obj)
    assert obj["spec"] == {"size": 1}
    obj["spec"]["size"] = 10
    assert [e.field for e in resource.validate(obj)] == ["spec.size"]
    assert [c.cell(obj, world.clock.now()) for c in resource.columns] == ["w", 10, "60s"]


def test_names_in_use_are_refused_until_they_are_free() -> None:
    async def scenario() -> None:
        world = World()
        task = asyncio.ensure_future(world.custom.run())
        await world.create(definition())
        rival = definition("gadgets", "Widget")
        stored = await world.create(rival)
        assert not condition_is(stored, "NamesAccepted")
        assert world.registry.by_path("example.com", "v1", "gadgets") is None
        await world.objects.delete(CRD, "widgets.example.com")
        await world.clock.settle()
        assert world.objects.cached(CRD, "widgets.example.com") is None
        assert world.registry.by_path("example.com", "v1", "widgets") is None
        assert world.registry.by_path("example.com", "v1", "gadgets") is not None
        task.cancel()

    asyncio.run(scenario())


def test_a_short_name_that_is_refused_is_left_out_and_comes_when_it_is_free() -> None:
    async def scenario() -> None:
        world = World()
        task = asyncio.ensure_future(world.custom.run())
        first, second = definition(), definition("gadgets", "Gadget")
        first["spec"]["names"]["shortNames"] = ["x"]
        first = await world.create(first)
        await world.create(second)
        changed = copy.deepcopy(world.objects.cached(CRD, "gadgets.example.com"))
        assert changed is not None
        before = copy.deepcopy(changed)
        changed["spec"]["names"] |= {"shortNames": ["x", "g"], "categories": ["all"]}
        await world.custom.before_update(changed, before, WriteContext(ADMIN))
        world.objects.put(CRD, changed)
        assert not condition_is(changed, "NamesAccepted")
        assert condition_is(changed, "Established")
        served = world.registry.by_path("example.com", "v1", "gadgets")
        assert served is not None
        assert (served.short_names, served.categories) == ((), ("all",))
        freed = copy.deepcopy(first)
        freed["spec"]["names"]["shortNames"] = ["y"]
        await world.custom.before_update(freed, first, WriteContext(ADMIN))
        world.objects.put(CRD, freed)
        await world.clock.settle()
        served = world.registry.by_path("example.com", "v1", "gadgets")
        assert served is not None
        assert served.short_names == ("x", "g")
        task.cancel()

    asyncio.run(scenario())


def test_approval_of_a_protected_group_is_a_condition() -> None:
    crd = definition()
    crd["spec"]["group"] = "example.k8s.io"
    crd["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, a test"}
    status = status_of(crd, (), "2027-01-15T08:00:00Z")
    conformant = condition_of({"status": status}, "KubernetesAPIApprovalPolicyConformant")
    assert conformant is not None
    assert (conformant["status"], conformant["reason"]) == ("False", "UnapprovedAnnotation")
    assert conformant["message"] == 'not approved: "unapproved, a test"'


def test_a_definition_goes_after_its_instances() -> None:
    async def scenario() -> None:
        world = World()
        task = asyncio.ensure_future(world.custom.run())
        await world.create(definition())
        resource = world.registry.by_path("example.com", "v1", "widgets")
        assert resource is not None
        world.objects.put(resource, {"metadata": {"name": "a", "namespace": "x"}})
        held = {"metadata": {"name": "b", "namespace": "x", "finalizers": ["example.com/held"]}}
        world.objects.put(resource, held)
        served = world.objects.cached(CRD, "widgets.example.com")
        assert served is not None and "finalizers" not in served["metadata"]
        await world.objects.delete(CRD, "widgets.example.com")
        await world.clock.settle()
        leaving = world.objects.cached(CRD, "widgets.example.com")
        assert leaving is not None
        assert condition_is(leaving, "Terminating")
        assert world.objects.cached(resource, "a", "x") is None
        remaining = world.registry.by_path("example.com", "v1", "widgets")
        assert remaining is not None
        assert "create" not in remaining.verbs
        await world.objects.update(resource, "b", "x", lambda o: {**o, "metadata": {**o["metadata"], "finalizers": []}})
        await world.clock.settle()
        assert world.objects.cached(CRD, "widgets.example.com") is None
        assert world.registry.by_path("example.com", "v1", "widgets") is None
        task.cancel()

    asyncio.run(scenario())


def test_kinds_are_restored_after_a_restart() -> None:
    world = World()
    asyncio.run(world.create(definition()))
    registry = Registry(())
    CustomResourceDefinitions(world.objects, registry, world.clock, no_webhook, random.Random(0))
    assert registry.by_kind("example.com/v1", "Widget") is not None


def test_versions_share_one_store() -> None:
    crd = definition()
    crd["spec"]["versions"].append(
        {"name": "v2", "served": True, "storage": False, "schema": {"openAPIV3Schema": SCHEMA}}
    )
    first, second = kinds_of(crd).served
    assert second.stored_as == first
    crd["spec"]["versions"][0]["served"] = False
    (only,) = kinds_of(crd).served
    assert only.version == "v2"
    assert only.stored_as is not None


def test_columns_end_where_a_path_cannot_be_read() -> None:
    columns = [
        {"name": name, "type": "string", "jsonPath": path} for name, path in (("A", ".a"), ("B", ".b["), ("C", ".c"))
    ]
    (kind,) = kinds_of(asyncio.run(World().create(definition(additionalPrinterColumns=columns)))).served
    assert [column.name for column in kind.columns] == ["Name", "A"]


def test_json_paths() -> None:
    document = {
        "metadata": {"labels": {"a.b/c": "x"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
        "list": [{"n": 1}, {"n": 2}, {"n": 3}],
    }
    assert compile_path('.status.conditions[?(@.type=="Ready")].status')(document) == ["True"]
    assert compile_path(".status.conditions[*].type")(document) == ["Ready", "Other"]
    assert compile_path(".status.conditions[1].type")(document) == ["Other"]
    assert compile_path(r".metadata.labels.a\.b/c")(document) == ["x"]
    assert compile_path(r".metadata.labels['a\.b/c']")(document) == ["x"]
    assert compile_path(".absent.field")(document) == []
    assert compile_path("..type")(document) == ["Ready", "Other"]
    assert compile_path(".list[0:2].n")(document) == [1, 2]
    assert compile_path(".list[-1].n")(document) == [3]
    assert compile_path(".list[::2].n")(document) == [1, 3]
    assert compile_path(".list[0,2].n")(document) == [1, 3]
    assert compile_path(".list[?(@.n>=2)].n")(document) == [2, 3]
    assert compile_path(".list[?(@.n)].n")(document) == [1, 2, 3]
    assert compile_path(".list[?(@.n>'2')].n")(document) == []
    assert compile_path(".list[5].n")(document) == []


@pytest.mark.parametrize("path", [".a[", ".a[b]", ".a[?(@.b]", ".a[?(@.b==')]", "#a", "....a", ".a[-]"])
def test_what_is_no_json_path(path: str) -> None:
    with pytest.raises(ValueError):
        compile_path(path)


def test_cells_by_type() -> None:
    obj = {"metadata": {"name": "a"}, "a": {"b": "<x>"}, "i": 1.9, "n": 3, "d": "2026-01-01", "z": None, "f": 2.5e10}
    shown = {
        ("a", "string"): '{"b":"\\u003cx\\u003e"}',
        ("i", "integer"): 1,
        ("n", "number"): 3,
        ("z", "string"): "<no value>",
    }
    shown |= {("d", "date"): "<invalid>", ("n", "date"): None, ("n", "boolean"): None, ("f", "string"): "2.5e+10"}
    columns = [{"name": "X", "type": kind, "jsonPath": f".{field}"} for field, kind in shown]
    (kind,) = kinds_of(asyncio.run(World().create(definition(additionalPrinterColumns=columns)))).served
    assert [column.cell(obj, 0.0) for column in kind.columns[1:]] == list(shown.values())
