from typing import Any

from kajitori.api.apiextensions import CUSTOM_RESOURCE_DEFINITION
from kajitori.api.core import CONFIG_MAP, NODE, POD, SECRET
from kajitori.api.errors import ServiceUnavailable
from kajitori.api.resource import Resource
from kajitori.controllers.discovery import DiscoveryController
from kajitori.controllers.garbage.collector import GarbageCollector
from kajitori.controllers.garbage.graph import Delete, DropOwners, Graph, Keep, judge, node_of

WIDGET = Resource(group="example.com", version="v1", kind="Widget", plural="widgets")
LOOPS = [DiscoveryController, GarbageCollector]
KINDS = [CONFIG_MAP, POD, SECRET, NODE]


def owner(uid: str, kind: str = "ConfigMap", *, blocks: bool = False, name: str = "") -> dict[str, Any]:
    api = "example.com/v1" if kind == "Widget" else "v1"
    return {"apiVersion": api, "kind": kind, "name": name or uid, "uid": uid, "blockOwnerDeletion": blocks}


def make(uid: str, *owners: dict[str, Any], **meta: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": uid, "uid": uid, "namespace": "default", **meta}
    if owners:
        metadata["ownerReferences"] = list(owners)
    return {"metadata": metadata}


def deleting(uid: str, *owners: dict[str, Any], finalizer: str) -> dict[str, Any]:
    return make(uid, *owners, finalizers=[finalizer], deletionTimestamp="2026-01-01T00:00:00Z")


def graph_of(*objects: dict[str, Any]) -> Graph:
    graph = Graph()
    for obj in objects:
        graph.put(node_of(CONFIG_MAP, obj))
    return graph


def test_one_living_owner_keeps_and_the_dead_are_forgotten() -> None:
    obj = make("c", owner("a"), owner("b"))
    graph = graph_of(make("a"), make("b"), obj)
    assert judge(obj, frozenset(), graph) == Keep()
    assert judge(obj, frozenset({"a"}), graph) == DropOwners(frozenset({"a"}))
    assert judge(obj, frozenset({"a", "b"}), graph) == Delete("Background")


def test_finalizers_say_how_dependents_are_treated_in_turn() -> None:
    assert judge(make("c", owner("a"), finalizers=["orphan"]), frozenset({"a"}), Graph()) == Delete("Orphan")
    assert judge(make("c", owner("a"), finalizers=["foregroundDeletion"]), frozenset({"a"}), Graph()) == Delete(
        "Foreground"
    )


def test_a_foreground_deletion_runs_down_the_tree() -> None:
    root = deleting("root", finalizer="foregroundDeletion")
    middle, leaf = make("middle", owner("root", blocks=True)), make("leaf", owner("middle", blocks=True))
    graph = graph_of(root, middle, leaf)
    assert judge(middle, frozenset(), graph) == Delete("Foreground")
    assert judge(leaf, frozenset(), graph) == Keep()


def test_a_circle_is_broken() -> None:
    first = make("a", owner("b", blocks=True))
    second = deleting("b", owner("a", blocks=True), finalizer="foregroundDeletion")
    assert judge(first, frozenset(), graph_of(first, second)) == Delete("Foreground", unblock=True)


def test_what_a_removal_makes_worth_a_look() -> None:
    waiting = deleting("root", finalizer="foregroundDeletion")
    graph = graph_of(waiting, make("child", owner("root", blocks=True)), make("grandchild", owner("child")))
    assert graph.remove("child") == {"grandchild", "root"}


def names(loops: Any, resource: Resource) -> list[str]:
    return [o["metadata"]["name"] for o in loops.api.all(resource)]


def test_background_dependents_follow_their_owner(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, make("root"))
        loops.api.put(SECRET, make("child", owner("root")))
        loops.api.put(SECRET, make("grandchild", owner("child", "Secret")))
        loops.api.put(SECRET, make("shared", owner("root"), owner("other")))
        loops.api.put(CONFIG_MAP, make("other"))
        await loops.settle()
        assert len(names(loops, SECRET)) == 3
        await loops.api.delete(CONFIG_MAP, "root", "default")
        await loops.settle()
        assert names(loops, SECRET) == ["shared"]
        assert [o["uid"] for o in loops.api.one(SECRET, "shared")["metadata"]["ownerReferences"]] == ["other"]

    loops.run(LOOPS, scenario)


def test_an_object_created_with_an_absent_owner_is_deleted(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        await loops.settle()
        loops.api.put(SECRET, make("late", owner("never-there")))
        loops.api.put(
            CONFIG_MAP, make("reborn") | {"metadata": {"name": "reborn", "uid": "new-uid", "namespace": "default"}}
        )
        loops.api.put(SECRET, make("of-old", owner("old-uid", name="reborn")))
        await loops.settle()
        assert names(loops, SECRET) == []

    loops.run(LOOPS, scenario)


def test_an_owner_in_another_namespace_is_none(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, make("owner"))
        await loops.settle()
        loops.api.put(SECRET, make("stranger", owner("owner"), namespace="elsewhere"))
        await loops.settle()
        loops.api.put(SECRET, make("own", owner("owner")))
        await loops.settle()
        assert names(loops, SECRET) == ["own"]

    loops.run(LOOPS, scenario)


def test_an_unknown_kind_of_owner_deletes_nothing(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        loops.api.put(SECRET, make("kept", owner("w", "Widget")))
        await loops.settle(30)
        assert names(loops, SECRET) == ["kept"]

    loops.run(LOOPS, scenario)


def test_a_namespaced_owner_of_a_cluster_scoped_object_is_reported(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        node = {"metadata": {"name": "n", "uid": "n", "ownerReferences": [owner("x")]}}
        loops.api.put(NODE, node)
        await loops.settle()
        assert len(loops.api.all(NODE)) == 1

    loops.run(LOOPS, scenario)
    assert any(e.startswith("OwnerRefInvalidNamespace") for e in loops.api.events())


def test_foreground_waits_for_blocking_dependents(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, make("root"))
        loops.api.put(POD, {**make("slow", owner("root", blocks=True)), "spec": {"nodeName": "n"}})
        await loops.settle()
        await loops.api.delete(CONFIG_MAP, "root", "default", propagation="Foreground")
        await loops.settle()
        assert "deletionTimestamp" in loops.api.one(POD, "slow")["metadata"]
        assert names(loops, CONFIG_MAP) == ["root"]
        await loops.settle(30)
        finalizers = loops.api.one(POD, "slow")["metadata"].get("finalizers") or []
        assert finalizers == []
        loops.api.remove(POD, "slow")
        await loops.settle()
        assert names(loops, CONFIG_MAP) == []

    loops.run(LOOPS, scenario)


def test_orphans_lose_their_owner_and_stay(loops: Any) -> None:
    loops.api.kinds = KINDS

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, make("root"))
        loops.api.put(SECRET, make("child", owner("root")))
        await loops.settle()
        await loops.api.delete(CONFIG_MAP, "root", "default", propagation="Orphan")
        await loops.settle()
        assert (names(loops, CONFIG_MAP), names(loops, SECRET)) == ([], ["child"])
        assert "ownerReferences" not in loops.api.one(SECRET, "child")["metadata"]

    loops.run(LOOPS, scenario)


def test_custom_resources_are_owners_and_dependents_too(loops: Any) -> None:
    loops.api.kinds = list(KINDS)

    async def scenario() -> None:
        await loops.settle()
        loops.api.kinds.append(WIDGET)
        loops.api.put(CUSTOM_RESOURCE_DEFINITION, {"metadata": {"name": "widgets.example.com"}})
        await loops.settle(3)
        loops.api.put(WIDGET, make("w"))
        loops.api.put(SECRET, make("of-widget", owner("w", "Widget")))
        loops.api.put(WIDGET, make("child", owner("w", "Widget")))
        await loops.settle()
        await loops.api.delete(WIDGET, "w", "default")
        await loops.settle()
        assert (names(loops, SECRET), names(loops, WIDGET)) == ([], [])

    loops.run(LOOPS, scenario)


def test_a_kind_that_cannot_be_listed_does_not_hold_up_the_others_for_ever(loops: Any) -> None:
    loops.api.kinds = [*KINDS, WIDGET]

    def refuse(verb: str, resource: Resource, obj: Any) -> None:
        if resource.plural == WIDGET.plural and verb == "list":
            raise ServiceUnavailable("conversion webhook failed")

    loops.api.refuse = refuse

    async def scenario() -> None:
        loops.api.put(SECRET, make("late", owner("never-there")))
        await loops.settle(20)
        assert names(loops, SECRET) == ["late"]
        await loops.settle(20)
        assert names(loops, SECRET) == []

    loops.run(LOOPS, scenario)
