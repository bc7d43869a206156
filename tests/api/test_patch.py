import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.core import CONFIG_MAP, NODE, PERSISTENT_VOLUME, POD, SERVICE
from kajitori.api.errors import BadRequest, Invalid, RequestEntityTooLarge, StatusError, UnsupportedMediaType
from kajitori.api.patch import json_patch, merge, strategic
from kajitori.api.patch.refusals import bad_result, bad_strategic_result
from kajitori.api.policy import POD_DISRUPTION_BUDGET
from kajitori.api.resource import Resource


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": {"a": "1"}}, "spec": spec}


def containers(obj: dict[str, Any]) -> list[str]:
    return [c["name"] for c in obj["spec"]["containers"]]


def test_json_patch_applies_all_operations() -> None:
    operations = [
        {"op": "test", "path": "/metadata/labels/a", "value": "1"},
        {"op": "move", "from": "/metadata/labels/a", "path": "/metadata/labels/b"},
        {"op": "add", "path": "/spec/x", "value": [1]},
        {"op": "add", "path": "/spec/x/-", "value": 2},
        {"op": "replace", "path": "/metadata/name", "value": "q"},
    ]
    obj = pod()
    assert json_patch.apply(obj, operations) == {
        "metadata": {"name": "q", "labels": {"b": "1"}},
        "spec": {"x": [1, 2]},
    }
    assert obj == pod(), "the original stays as it was"


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/metadata/name", "value": "other"},
        {"op": "remove", "path": "/metadata/nothing"},
        {"op": "replace", "path": "/no/where", "value": 1},
        {"op": "frob", "path": "/x"},
        {"path": "/x"},
        {"op": "add", "path": "x", "value": 1},
        {"op": "add", "path": "/spec/list/3", "value": 1},
        {"op": "remove", "path": "/spec/list/one"},
        {"op": "test", "path": "/metadata/number", "value": True},
        {"op": "replace", "path": "", "value": 1},
    ],
)
def test_json_patch_that_does_not_apply(operation: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        json_patch.apply(pod(), [operation])
    assert caught.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }


def test_json_patch_is_as_lax_as_upstream_s() -> None:
    operations = [
        {"op": "replace", "path": "/metadata/labels/new", "value": "1"},
        {"op": "test", "path": "/metadata/labels/missing", "value": None},
        {"op": "copy", "from": "/metadata/missing", "path": "/metadata/copied"},
        {"op": "add", "path": "/metadata/labels/a~1b~0", "value": "2"},
    ]
    assert json_patch.apply(pod(), operations)["metadata"] == {
        "name": "p",
        "labels": {"a": "1", "new": "1", "a/b~": "2"},
        "copied": None,
    }
    operations = [
        {"op": "test", "path": "", "value": {"a": 1}},
        {"op": "replace", "path": "", "value": {"b": 1}},
        {"op": "add", "path": "no/c", "value": 2},
    ]
    assert json_patch.apply({"a": 1}, operations) == {"b": 1, "c": 2}
    spec = json_patch.apply(pod(x=[1, 2]), [{"op": "remove", "path": "/spec/x/-1"}])["spec"]
    assert spec == {"x": [1]}


def test_json_patch_must_be_a_list_of_a_bearable_length() -> None:
    with pytest.raises(BadRequest, match=r"cannot unmarshal object into Go value of type jsonpatch\.Patch"):
        json_patch.apply(pod(), {"op": "add"})
    with pytest.raises(RequestEntityTooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch.apply(pod(), [{"op": "test", "path": ""}] * 10_001)


def test_json_patch_cannot_double_a_document_without_end() -> None:
    copies = [{"op": "copy", "from": "/spec", "path": f"/spec/x{n}"} for n in range(40)]
    assert len(json_patch.apply(pod(), copies[:5])["spec"]) == 5
    with pytest.raises(Invalid):
        json_patch.apply(pod(), copies)


def test_merge_patch() -> None:
    obj = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge.apply({}, {"l": [{"x": None, "y": 1}, None]}) == {"l": [{"y": 1}, None]}
    assert merge.apply(obj, {"a": {"b": None, "c": [3], "x": {"y": None}}, "d": {"e": 1}}) == {
        "a": {"c": [3], "x": {}},
        "d": {"e": 1},
    }


json_values = st.recursive(
    st.integers(0, 3) | st.booleans() | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from("abc"), json_values, max_size=3)


def merge_patch_between(old: Any, new: Any) -> Any:
    patch = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            patch[key] = merge_patch_between(old[key], value)
        elif value != old.get(key) or type(value) is not type(old.get(key)):
            patch[key] = value
    return patch


@given(documents, documents)
def test_merge_patch_turns_one_document_into_another(old: dict[str, Any], new: dict[str, Any]) -> None:
    patch = merge_patch_between(old, new)
    assert merge.apply(old, patch) == new
    assert merge.apply(new, patch) == new, "a second time changes nothing"


def test_strategic_merges_containers_by_name() -> None:
    obj = pod(containers=[{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}])
    patch = {"spec": {"containers": [{"name": "a", "image": "a:2"}, {"name": "new", "image": "n"}]}}
    patched = strategic.apply(obj, patch, POD)
    assert patched["spec"]["containers"] == [
        {"name": "a", "image": "a:2", "args": ["x"]},
        {"name": "new", "image": "n"},
        {"name": "b", "image": "b:1"},
    ]


def test_strategic_deletes_and_replaces_items() -> None:
    obj = pod(containers=[{"name": "a"}, {"name": "b"}])
    delete = {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}
    assert containers(strategic.apply(obj, delete, POD)) == ["b"]
    replace = {"spec": {"containers": [{"name": "z"}, {"$patch": "replace"}]}}
    assert containers(strategic.apply(obj, replace, POD)) == ["z"]


def test_strategic_directives_on_maps() -> None:
    replaced = strategic.apply(pod(), {"metadata": {"labels": {"$patch": "replace", "only": "1"}}}, POD)
    assert replaced["metadata"]["labels"] == {"only": "1"}
    deleted = strategic.apply(pod(), {"metadata": {"labels": {"$patch": "delete"}}}, POD)
    assert deleted["metadata"]["labels"] == {}
    with pytest.raises(StatusError, match=r"unknown patch type: frob in map: map\[\$patch:frob\]"):
        strategic.apply(pod(), {"metadata": {"$patch": "frob"}}, POD)


def test_strategic_null_removes() -> None:
    patched = strategic.apply(pod(hostname="h"), {"spec": {"hostname": None, "subdomain": None}}, POD)
    assert patched["spec"] == {}


def test_strategic_replaces_atomic_lists() -> None:
    obj = pod(tolerations=[{"key": "a"}], containers=[{"name": "c", "command": ["x", "y"]}])
    patch = {"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "c", "command": ["z"]}]}}
    patched = strategic.apply(obj, patch, POD)
    assert patched["spec"] == {"tolerations": [{"key": "b"}], "containers": [{"name": "c", "command": ["z"]}]}


def test_strategic_primitive_lists() -> None:
    obj = {"metadata": {"name": "m", "finalizers": ["f"]}}
    merged = strategic.apply(obj, {"metadata": {"finalizers": ["g"]}}, CONFIG_MAP)
    assert merged["metadata"]["finalizers"] == ["g", "f"]
    patch = {
        "metadata": {
            "$deleteFromPrimitiveList/finalizers": ["f"],
            "$setElementOrder/finalizers": ["h", "g"],
            "finalizers": ["h"],
        }
    }
    assert strategic.apply(merged, patch, CONFIG_MAP)["metadata"]["finalizers"] == ["h", "g"]


def test_strategic_element_order() -> None:
    obj = pod(containers=[{"name": "a"}, {"name": "server"}, {"name": "b"}])
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}, {"name": "c"}],
            "containers": [{"name": "c", "image": "i"}],
        }
    }
    assert containers(strategic.apply(obj, patch, POD)) == ["server", "b", "a", "c"]
    only_order = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert containers(strategic.apply(obj, only_order, POD)) == ["server", "b", "a"]
    added = {"spec": {"$setElementOrder/initContainers": [{"name": "i"}], "initContainers": [{"name": "i"}]}}
    assert strategic.apply(obj, added, POD)["spec"]["initContainers"] == [{"name": "i"}]


def test_strategic_element_order_that_contradicts_the_patch() -> None:
    obj = pod(containers=[{"name": "a"}])
    patch = {"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "zzz"}]}}
    with pytest.raises(StatusError, match="The order in patch list"):
        strategic.apply(obj, patch, POD)


def test_strategic_retain_keys() -> None:
    obj = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic.apply(obj, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}
    volumes = pod(volumes=[{"name": "v", "emptyDir": {}}])
    swap = {"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}]}}
    assert strategic.apply(volumes, swap, POD)["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]
    with pytest.raises(BadRequest, match="invalid patch format of retainKeys"):
        strategic.apply(obj, {"spec": {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}}}, DEPLOYMENT)


def test_strategic_list_item_without_its_key() -> None:
    with pytest.raises(StatusError) as caught:
        strategic.apply(pod(containers=[{"name": "a"}]), {"spec": {"containers": [{"image": "x"}]}}, POD)
    assert caught.value.message == "map: map[image:x] does not contain declared merge key: name"
    assert caught.value.status()["code"] == 500


def test_strategic_keys_may_be_numbers() -> None:
    obj = {"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81}]}}
    patched = strategic.apply(obj, {"spec": {"ports": [{"port": 80, "name": "b"}]}}, SERVICE)
    assert patched["spec"]["ports"] == [{"port": 80, "name": "b"}, {"port": 81}]


def test_strategic_conditions_merge_by_type() -> None:
    obj = {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Disk", "status": "False"}]}}
    patch = {
        "status": {
            "$setElementOrder/conditions": [{"type": "Ready"}, {"type": "Disk"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
    }
    assert strategic.apply(obj, patch, NODE)["status"]["conditions"] == [
        {"type": "Ready", "status": "True"},
        {"type": "Disk", "status": "False"},
    ]


def test_strategic_values_that_are_new_lose_what_is_marked_and_their_nulls() -> None:
    marked = {"seLinuxOptions": {"$patch": "delete"}, "fsGroup": 1, "runAsUser": None}
    patch = {"spec": {"securityContext": {"$retainKeys": ["fsGroup"], **marked}}}
    assert strategic.apply(pod(), patch, POD)["spec"] == {
        "securityContext": {"$retainKeys": ["fsGroup"], "fsGroup": 1}  # which is then an unknown field, as upstream
    }


def test_a_disruption_budgets_selector_is_replaced_as_a_whole() -> None:
    budget = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
    wanted = {"matchExpressions": [{"key": "c", "operator": "Exists"}]}
    assert strategic.apply(budget, {"spec": {"selector": wanted}}, POD_DISRUPTION_BUDGET)["spec"] == {
        "selector": wanted
    }


def test_strategic_order_of_a_list_that_the_type_does_not_have_is_refused() -> None:
    patch = {"status": {"conditions": [{"type": "A"}], "$setElementOrder/conditions": [{"type": "A"}]}}
    with pytest.raises(StatusError) as caught:
        strategic.apply({"status": {"phase": "Bound"}}, patch, PERSISTENT_VOLUME)
    assert caught.value.message == (
        'unable to find api field in struct PersistentVolumeStatus for the json field "conditions"'
    )


def test_strategic_is_refused_for_custom_resources() -> None:
    custom = Resource(group="g", version="v1", kind="Foo", plural="foos", schema={"type": "object"})
    with pytest.raises(UnsupportedMediaType) as caught:
        strategic.apply({}, {}, custom)
    assert caught.value.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )


names = st.sampled_from("abcde")
items = st.fixed_dictionaries({"name": names}, optional={"image": st.sampled_from(["x", "y"])})
container_lists = st.lists(items, max_size=5, unique_by=lambda c: c["name"])


@given(container_lists, container_lists)
def test_strategic_patch_holds_and_holds_again(present: list[Any], wanted: list[Any]) -> None:
    obj = pod(containers=copy.deepcopy(present))
    patch = {"spec": {"containers": wanted, "$setElementOrder/containers": [{"name": c["name"]} for c in wanted]}}
    patched = strategic.apply(obj, patch, POD)
    assert obj == pod(containers=present)
    merged = {c["name"]: c for c in patched["spec"]["containers"]}
    assert set(merged) == {c["name"] for c in [*present, *wanted]}
    assert all(merged[c["name"]].items() >= c.items() for c in wanted)
    assert [n for n in merged if n in {c["name"] for c in wanted}] == [c["name"] for c in wanted]
    assert strategic.apply(patched, patch, POD) == patched


def test_refusals_show_the_patch() -> None:
    error = bad_strategic_result({"spec": {"replicas": "three"}}, "unrecognized type: int32")
    assert error.message == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[replicas:three]]": unrecognized type: int32'
    )
    assert bad_result({"a": 1}, "why").message == ' "" is invalid: patch: Invalid value: "{\\"a\\":1}": why'
    nested = {"b": {"d": 1, "c": 2}, "a": 1}
    assert r"{\"a\":1,\"b\":{\"d\":1,\"c\":2}}" in bad_result(nested, "why").message
    assert r"{\"a\":1,\"b\":{\"c\":2,\"d\":1}}" in bad_result(nested, "why", ordered=True).message


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (
            {"op": "add", "path": "/b/c", "value": 1},
            'add operation does not apply: doc is missing path: "/b/c": missing value',
        ),
        (
            {"op": "add", "path": "/l/9", "value": 1},
            "error in add for path: '/l/9': Unable to access invalid index: 9: invalid index referenced",
        ),
        (
            {"op": "remove", "path": "/b"},
            "error in remove for path: '/b': Unable to remove nonexistent key: b: missing value",
        ),
        (
            {"op": "replace", "path": "/b/c"},
            "replace operation does not apply: doc is missing path: /b/c: missing value",
        ),
        (
            {"op": "replace", "path": "/l/x"},
            "replace operation does not apply: doc is missing key: /l/x: missing value",
        ),
        (
            {"op": "move", "from": "/b", "path": "/c"},
            "error in move for path: 'b': Unable to remove nonexistent key: b: missing value",
        ),
        (
            {"op": "move", "from": "/a", "path": "/c/d"},
            "move operation does not apply: doc is missing destination path: /c/d: missing value",
        ),
        (
            {"op": "copy", "from": "/b/c", "path": "/c"},
            "copy operation does not apply: doc is missing from path: /b/c: missing value",
        ),
        ({"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
        (
            {"op": "test", "path": "/b/c", "value": 2},
            "test operation does not apply: is missing path: /b/c: missing value",
        ),
        ({"op": "mend", "path": "/a"}, "Unexpected kind: mend"),
        ({"path": "/a"}, "Unexpected kind: unknown"),
        ({"op": "remove"}, "remove operation failed to decode path: missing value"),
        (
            {"op": "copy", "path": "/b"},
            "copy operation failed to decode from: operation, missing from field: missing value",
        ),
        ({"op": "test", "path": "", "value": {}}, "testing value  failed: test failed"),
        ({"op": "replace", "path": "", "value": 1}, "replace operation hit impossible case: invalid state detected"),
        ({"op": "remove", "path": "a"}, 'remove operation does not apply: doc is missing path: "a": missing value'),
    ],
)
def test_who_patches_for_others_is_told_why_it_does_not_apply(operation: dict[str, Any], why: str) -> None:
    with pytest.raises(json_patch.Inapplicable) as refused:
        json_patch.apply({"a": 1, "l": [1]}, [operation])
    assert refused.value.why == why
    assert refused.value.message == "the server rejected our request due to an error in our request"
