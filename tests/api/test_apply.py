import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.core import CONFIG_MAP
from kajitori.api.errors import BadRequest, Conflict, StatusError
from kajitori.api.flowcontrol import PRIORITY_LEVEL_CONFIGURATION
from kajitori.api.meta import Object
from kajitori.api.patch.apply import LAST_APPLIED, apply
from kajitori.api.patch.configuration import check_configuration, untyped
from kajitori.api.patch.managed_fields import update
from kajitori.api.resource import Resource

T1, T2 = "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"


def deployment(containers: list[Any] | None = None, **spec: Any) -> Object:
    body: Object = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    if containers is not None:
        body["spec"]["template"] = {"spec": {"containers": containers}}
    return body


def config_map(metadata: Object | None = None, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"} | (metadata or {}), "data": data}


def applied(live: Object | None, config: Object, manager: str, *, force: bool = False, now: str = T1) -> Object:
    resource = DEPLOYMENT if config["kind"] == "Deployment" else CONFIG_MAP
    return apply(resource, live, config, manager, now, force=force)


def managers_of(obj: Object) -> list[str]:
    return [entry["manager"] for entry in obj["metadata"].get("managedFields", ())]


def fields(obj: Object, manager: str) -> Any:
    return next(e["fieldsV1"] for e in obj["metadata"]["managedFields"] if e["manager"] == manager)


def test_applying_owns_exactly_what_was_said() -> None:
    obj = applied(None, deployment([{"name": "a", "image": "a:1"}], replicas=3), "m1")
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "m1",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:spec": {
                    "f:replicas": {},
                    "f:template": {
                        "f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}, "f:name": {}}}}
                    },
                }
            },
        }
    ]


def test_what_is_no_longer_said_is_removed() -> None:
    first = applied(None, config_map(a="1", b="2"), "m1")
    second = applied(first, config_map(a="1"), "m1", now=T2)
    assert second["data"] == {"a": "1"}
    assert second["metadata"]["managedFields"][0]["time"] == T2


def test_what_another_manager_owns_too_stays() -> None:
    first = applied(None, config_map(a="1", b="2"), "m1")
    shared = applied(first, config_map(b="2"), "m2")
    assert managers_of(shared) == ["m2", "m1"]
    assert "time" not in shared["metadata"]["managedFields"][0], "who changes nothing has no time, and comes first"
    left = applied(shared, config_map(a="1"), "m1")
    assert left["data"] == {"a": "1", "b": "2"}


def test_a_struct_goes_with_its_unowned_defaults() -> None:
    live = applied(None, deployment(strategy={"type": "RollingUpdate"}, replicas=1), "m1")
    live["spec"]["strategy"]["rollingUpdate"] = {"maxSurge": "25%"}
    assert applied(live, deployment(replicas=1), "m1")["spec"]["strategy"] == {}


def test_conflicts_name_manager_and_fields() -> None:
    live = applied(None, deployment(replicas=3, paused=True), "m1")
    with pytest.raises(Conflict) as caught:
        applied(live, deployment(replicas=5), "m2")
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "m1": .spec.replicas'
    assert caught.value.status()["details"] == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "m1"', "field": ".spec.replicas"}]
    }
    with pytest.raises(Conflict) as caught:
        applied(live, deployment(replicas=5, paused=False), "m2")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "m1":\n- .spec.paused\n- .spec.replicas'
    )


def test_conflicts_with_plain_writers_name_their_version() -> None:
    live = applied(None, deployment(replicas=3), "m1")
    edited = copy.deepcopy(live)
    edited["spec"]["replicas"] = 7
    update(DEPLOYMENT, edited, live, "kubectl-edit", T2)
    with pytest.raises(Conflict, match=r'conflict with "kubectl-edit" using apps/v1: \.spec\.replicas'):
        applied(edited, deployment(replicas=3), "m1")


def test_force_takes_over() -> None:
    live = applied(None, deployment(replicas=3, minReadySeconds=1), "m1")
    taken = applied(live, deployment(replicas=5), "m2", force=True)
    assert taken["spec"]["replicas"] == 5
    assert fields(taken, "m1") == {"f:spec": {"f:minReadySeconds": {}}}


def test_the_same_value_is_owned_together() -> None:
    live = applied(None, deployment(replicas=3), "m1")
    shared = applied(live, deployment(replicas=3), "m2")
    assert fields(shared, "m1") == fields(shared, "m2") == {"f:spec": {"f:replicas": {}}}


def test_containers_of_two_managers_live_side_by_side() -> None:
    live = applied(None, deployment([{"name": "a", "image": "a:1"}]), "m1")
    both = applied(live, deployment([{"name": "side", "image": "s:1"}]), "m2")
    names = [c["name"] for c in both["spec"]["template"]["spec"]["containers"]]
    assert names == ["a", "side"]
    left = applied(both, deployment([]), "m2")
    assert [c["name"] for c in left["spec"]["template"]["spec"]["containers"]] == ["a"]


def test_ports_are_told_apart_by_their_defaulted_protocol() -> None:
    live = applied(None, deployment([{"name": "a", "ports": [{"containerPort": 80}]}]), "m1")
    named = applied(live, deployment([{"name": "a", "ports": [{"containerPort": 80, "name": "web"}]}]), "m2")
    ports = named["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert ports == [{"containerPort": 80, "name": "web"}]


def test_equal_amounts_do_not_conflict() -> None:
    small = [{"name": "a", "resources": {"limits": {"memory": "1024Mi"}}}]
    same = [{"name": "a", "resources": {"limits": {"memory": "1Gi"}}}]
    live = applied(None, deployment(small), "m1")
    assert managers_of(applied(live, deployment(same), "m2")) == ["m2", "m1"]


def test_amounts_conflict_as_they_are_written() -> None:
    live = applied(None, deployment([{"name": "a", "resources": {"limits": {"memory": "1Gi"}}}]), "m1")
    with pytest.raises(Conflict, match=r"limits\.memory"):
        applied(live, deployment([{"name": "a", "resources": {"limits": {"memory": "1024Mi"}}}]), "m2")


def test_a_conflict_is_told_before_a_value_that_cannot_be_read() -> None:
    live = applied(None, deployment([{"name": "a", "resources": {"limits": {"memory": "1Gi"}}}]), "m1")
    wrong = deployment([{"name": "a", "resources": {"limits": {"memory": "much"}}}])
    with pytest.raises(Conflict, match=r"limits\.memory"):
        applied(live, wrong, "m2")
    with pytest.raises(StatusError, match="quantities must match"):
        applied(live, wrong, "m2", force=True)


def test_a_null_leaves_what_is_inside_and_is_owned() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    live = applied(None, deployment(strategy=strategy), "m1")
    both = applied(live, deployment(strategy=None), "m2")
    assert both["spec"]["strategy"] == strategy
    assert fields(both, "m2") == {"f:spec": {"f:strategy": {}}}


@pytest.mark.parametrize("value", [{}, []])
def test_a_scalar_is_no_map_and_no_list(value: Any) -> None:
    config = deployment([{"name": "a", "resources": {"limits": {"memory": value}}}])
    with pytest.raises(StatusError, match="memory: expected any scalar, got &"):
        check_configuration(DEPLOYMENT, config)


def test_sets_are_merged_by_value() -> None:
    live = applied(None, config_map({"finalizers": ["x/a"]}), "m1")
    with pytest.raises(Conflict, match=r"\.data"):  # empty, so it is not stored, and both add it
        applied(live, config_map({"finalizers": ["x/b"]}), "m2")
    both = applied(live, config_map({"finalizers": ["x/b"]}), "m2", force=True)
    assert both["metadata"]["finalizers"] == ["x/a", "x/b"]
    assert applied(both, config_map(), "m1", force=True)["metadata"]["finalizers"] == ["x/b"]


def test_an_object_that_was_never_tracked_belongs_to_before_first_apply() -> None:
    live = config_map(a="1", b="2")
    obj = applied(live, config_map(a="1"), "m1")
    assert fields(obj, "before-first-apply") == {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
    with pytest.raises(Conflict, match="before-first-apply"):
        applied(live, config_map(a="other"), "m1")


def test_kubectl_takes_over_its_client_side_apply() -> None:
    annotation = orjson.dumps(config_map(a="1")).decode()
    live = config_map({"annotations": {LAST_APPLIED: annotation}}, a="1")
    update(CONFIG_MAP, live, None, "kubectl-client-side-apply", T1)
    obj = applied(live, config_map(a="2"), "kubectl")
    assert obj["data"] == {"a": "2"}
    assert orjson.loads(obj["metadata"]["annotations"][LAST_APPLIED])["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        applied(live, config_map(a="2"), "other")


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (deployment(bogus=1), ".spec.bogus: field not declared in schema"),
        (deployment([{"name": "a"}, {"name": "a"}]), 'containers: duplicate entries for key [name="a"]'),
        (deployment(["x"]), "containers: element 0: associative list with keys may not have non-map elements"),
        (deployment([None]), "containers: element 0: associative list with keys may not have a null element"),
        (deployment(replicas="x"), ".spec.replicas: expected numeric (int or float), got string"),
        (deployment(replicas=[1]), ".spec.replicas: expected numeric (int or float), got []interface {}"),
        (deployment(paused="x"), ".spec.paused: expected boolean, got &{x}"),
        (deployment(strategy=["x", {"a": 1}]), ".spec.strategy: expected map, got &{[x map[a:1]]}"),
        (deployment({"a": "b"}), "containers: expected list, got &{map[a:b]}"),  # type: ignore[arg-type]
        (
            deployment(serviceAccountName=1, paused="x"),
            ".spec.serviceAccountName: field not declared in schema",
        ),
    ],
)
def test_a_configuration_is_of_its_schemas_types(config: Object, problem: str) -> None:
    with pytest.raises(StatusError) as caught:
        check_configuration(DEPLOYMENT, config)
    assert caught.value.message.startswith("failed to create typed patch object (/d; apps/v1, Kind=Deployment): ")
    assert caught.value.message.endswith(problem)


def test_a_wrong_string_is_shown_as_go_shows_it() -> None:
    config = {**config_map(), "data": {"a": {"k": [1, None, True, "x"]}}}
    with pytest.raises(StatusError) as caught:
        check_configuration(CONFIG_MAP, config)
    value = 'map[string]interface {}{"k":[]interface {}{1, interface {}(nil), true, "x"}}'
    assert caught.value.message == (
        "failed to create typed patch object (/m; /v1, Kind=ConfigMap): .data.a: expected string, got "
        f"&value.valueUnstructured{{Value:{value}}}"
    )


def test_a_value_that_its_field_cannot_hold_is_not_convertible() -> None:
    with pytest.raises(StatusError) as caught:
        applied(None, deployment([], replicas=1.5), "m1")
    assert caught.value.message == (
        "failed to convert new object (/d; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured "
        "object to apps/v1, Kind=Deployment: cannot convert float64 to int32"
    )


@pytest.mark.parametrize("managed", [[], [{"manager": "x"}]])
def test_managed_fields_cannot_be_applied(managed: list[Object]) -> None:
    with pytest.raises(BadRequest, match=r"metadata\.managedFields must be nil"):
        check_configuration(CONFIG_MAP, config_map({"managedFields": managed}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"apiVersion": "v1", "kind": "Secret"}, "invalid object type: /v1, Kind=Secret"),
        ({"kind": "ConfigMap"}, "invalid object type: /, Kind=ConfigMap"),
        ([], "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into"),
    ],
)
def test_a_configuration_is_of_its_kind(document: Any, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_configuration(CONFIG_MAP, document)
    assert caught.value.message.startswith(message)


def test_custom_resources_merge_by_their_own_schema() -> None:
    item = {"type": "object", "properties": {"id": {"type": "string"}, "v": {"type": "integer"}}}
    items = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]}
    spec = {"type": "object", "properties": {"items": items, "plain": {"type": "array", "items": {"type": "string"}}}}
    widget = Resource(
        group="example.com",
        version="v1",
        kind="Widget",
        plural="widgets",
        schema={"type": "object", "properties": {"spec": spec}},
    )

    def body(**spec: Any) -> Object:
        return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}

    live = apply(widget, None, body(items=[{"id": "a", "v": 1}], plain=["x"]), "m1", T1)
    both = apply(widget, live, body(items=[{"id": "b", "v": 2}]), "m2", T1)
    assert both["spec"] == {"items": [{"id": "a", "v": 1}, {"id": "b", "v": 2}], "plain": ["x"]}
    with pytest.raises(Conflict, match=r'conflict with "m1": \.spec\.plain'):
        apply(widget, both, body(plain=["y"]), "m2", T1)


OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "object"}, 5, ".spec: expected map, got &{5}"),
        (OPEN, [1], ".spec: expected map, got &{[1]}"),
        ({"type": "array", "items": {"type": "object"}}, [True], ".spec[0]: expected map, got &{true}"),
        ({"type": "object", "additionalProperties": OPEN}, {"a": "s"}, ".spec.a: expected map, got &{s}"),
    ],
)
def test_an_object_without_declared_fields_is_an_object_all_the_same(schema: Object, value: Any, problem: str) -> None:
    whole: Object = {"type": "object", "properties": {"spec": schema}}
    kind = Resource(group="e.x", version="v1", kind="Custom", plural="customs", schema=whole)
    with pytest.raises(StatusError) as caught:
        check_configuration(kind, {"apiVersion": "e.x/v1", "kind": "Custom", "spec": value})
    assert caught.value.message.endswith(problem)


names = st.sampled_from("abc")
configs = st.dictionaries(names, st.sampled_from("12"), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["m1", "m2"]), configs), max_size=6))
def test_every_manager_gets_what_it_forces_and_nothing_unowned_remains(steps: list[tuple[str, dict[str, str]]]) -> None:
    live: Object | None = None
    for manager, data in steps:
        live = applied(live, config_map(**data), manager, force=True)
        present = live.get("data") or {}
        assert data.items() <= present.items()
        owned = {
            name.removeprefix("f:")
            for entry in live["metadata"].get("managedFields", [])
            for name in entry["fieldsV1"].get("f:data", {})
        } - {"."}
        assert set(present) == owned
        assert applied(live, config_map(**data), manager) == live, "applying again changes nothing"


def test_who_applies_in_another_version_has_one_entry_and_loses_what_is_not_said_any_more() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "additionalProperties": {"type": "string"}}}}

    def thing(version: str, **spec: str) -> tuple[Resource, Object]:
        resource = Resource(group="example.com", version=version, kind="Thing", plural="things", schema=schema)
        return resource, {
            "apiVersion": resource.api_version,
            "kind": "Thing",
            "metadata": {"name": "t"},
            "spec": {**spec},
        }

    first, config = thing("v1", a="1", b="2")
    live = apply(first, None, config, "me", T1)
    second, config = thing("v2", a="1")
    live = apply(second, live, config, "me", T2)
    (entry,) = live["metadata"]["managedFields"]
    assert (entry["apiVersion"], entry["time"]) == ("example.com/v2", T2)
    assert live["spec"] == {"a": "1"}


def test_nothing_is_applied_to_an_object_that_is_not_of_its_types() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}}}
    kind = Resource(group="e.x", version="v1", kind="Custom", plural="customs", namespaced=False, schema=schema)
    live = {"apiVersion": "e.x/v1", "kind": "Custom", "metadata": {"name": "a"}, "spec": {"n": "x"}}
    assert untyped(kind, live) == [".spec.n: expected numeric (int or float), got string"]
    assert untyped(kind, {**live, "spec": {"n": 1}}) == []
    config = {"apiVersion": "e.x/v1", "kind": "Custom", "metadata": {"name": "a"}, "spec": {"n": 1}}
    with pytest.raises(StatusError, match=r"failed to create typed live object \(/a; e.x/v1, Kind=Custom\): .spec.n"):
        apply(kind, live, config, "me", "")


def test_through_a_status_endpoint_nobody_conflicts_over_the_spec():
    live = deployment(replicas=1)
    update(DEPLOYMENT, live, None, "cr", T1)
    config = {**deployment(replicas=3), "status": {"replicas": 2}}
    merged = apply(DEPLOYMENT, live, config, "m", T2, subresource="status")
    assert fields(merged, "m") == {"f:status": {"f:replicas": {}}}
    assert "f:replicas" in fields(merged, "cr")["f:spec"]


def test_what_was_never_tracked_belongs_to_nobody_whom_the_endpoint_does_not_concern():
    live = deployment(replicas=1)
    config = {**deployment(), "status": {"replicas": 2}}
    merged = apply(DEPLOYMENT, live, config, "m", T2, subresource="status")
    assert managers_of(merged) == ["m"]


def test_conflicts_are_told_in_the_order_of_upstreams_identities():
    live = config_map(a="1", b="1")
    live["metadata"]["managedFields"] = [
        {"manager": "x", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}},
        {
            "manager": "x",
            "operation": "Update",
            "apiVersion": "v1",
            "subresource": "status",
            "fieldsV1": {"f:data": {"f:b": {}}},
        },
    ]
    with pytest.raises(Conflict) as caught:
        applied(live, config_map(a="2", b="2"), "me")
    assert [cause["field"] for cause in caught.value.details["causes"]] == [".data.b", ".data.a"]


def test_an_item_without_any_of_its_keys_is_refused_where_the_keys_have_no_default():
    kind = PRIORITY_LEVEL_CONFIGURATION
    config = {"apiVersion": kind.api_version, "kind": kind.kind, "status": {"conditions": [{"status": "True"}]}}
    with pytest.raises(StatusError) as caught:
        check_configuration(kind, config)
    assert caught.value.message.endswith(
        '.status.conditions: element 0: associative list with keys has an element that omits all key fields ["type"] '
        "(and doesn't have default values for any key fields)"
    )


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ({}, "associative list without keys has an element that's a map type"),
        ([], "not supported: associative list with lists as elements"),
        (None, "associative list without keys has an element that's an explicit null"),
    ],
)
def test_a_set_has_scalars_only(item, why):
    with pytest.raises(StatusError) as caught:
        check_configuration(CONFIG_MAP, config_map({"finalizers": ["a", item]}))
    assert caught.value.message.endswith(f".metadata.finalizers: element 1: {why}")


def test_a_key_that_is_null_is_a_key():
    problems = check_configuration(DEPLOYMENT, deployment([{"name": None, "image": "i"}]))
    assert problems["spec"]["template"]["spec"]["containers"] == [{"name": None, "image": "i"}]


def custom(spec: Object) -> Resource:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    return Resource(group="g.example", version="v1", kind="Widget", plural="widgets", schema=schema)


def problem_of(kind: Resource, spec: Object) -> str:
    config = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "w"}, "spec": spec}
    try:
        check_configuration(kind, config)
    except StatusError as error:
        return error.message.partition("): ")[2]
    return ""


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"x-kubernetes-int-or-string": True}, {"a": [1]}, ""),
        ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, [], ""),
        ({"type": "string"}, 5, ".spec.f: expected string, got &value.valueUnstructured{Value:5}"),
        ({"type": "string", "format": "byte"}, 5, ".spec.f: expected string, got &value.valueUnstructured{Value:5}"),
        ({"type": "string", "format": "date-time"}, 5, ""),
        ({"type": "string", "format": "date-time"}, {}, ".spec.f: expected any scalar, got &{map[]}"),
        ({"type": "string", "format": "anything"}, True, ""),
        ({"type": "string", "format": "anything"}, [], ".spec.f: expected any scalar, got &{[]}"),
    ],
)
def test_what_types_of_custom_schemas_leave_to_its_validation(schema: Object, value: Any, problem: str) -> None:
    assert problem_of(custom({"f": schema}), {"f": value}) == problem


def test_what_is_below_preserved_unknown_fields_may_be_unknown_too() -> None:
    inner = {"type": "object", "properties": {"x": {"type": "integer"}}}
    kept = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"c": inner}}
    kind = custom({"kept": kept, "other": inner})
    assert problem_of(kind, {"kept": {"c": {"y": 1}}}) == ""
    assert problem_of(kind, {"kept": {"c": {"x": "1"}}}).startswith(".spec.kept.c.x: expected numeric")
    assert problem_of(kind, {"other": {"y": 1}}) == ".spec.other.y: field not declared in schema"


def test_objects_inside_of_others_have_metadata_of_its_type() -> None:
    inside = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"q": {"type": "integer"}}}
    kind = custom({"inside": inside})
    named = {"apiVersion": "v1", "kind": "X"}
    assert problem_of(kind, {"inside": named | {"q": 1, "metadata": {"labels": {"a": "b"}}}}) == ""
    assert problem_of(kind, {"inside": named | {"metadata": 5}}) == ".spec.inside.metadata: expected map, got &{5}"
    assert problem_of(kind, {"inside": named | {"z": 5}}) == ".spec.inside.z: field not declared in schema"


def test_an_item_has_one_name_however_its_number_is_written_and_a_wrong_key_is_shown_by_what_is_in_it() -> None:
    items = {"type": "object", "properties": {"port": {"type": "number"}}}
    by_port = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"]}
    kind = custom({"l": {"type": "array", "items": items, **by_port}})
    assert problem_of(kind, {"l": [{"port": 1}, {"port": 1.0}]}) == ".spec.l: duplicate entries for key [port=1]"
    assert problem_of(kind, {"l": [{"port": [{}]}]}).startswith(".spec.l[port=[]].port: expected numeric")
    assert problem_of(kind, {"l": [{"port": {"a": 1}}]}).startswith(".spec.l[port=a=1].port: expected numeric")
