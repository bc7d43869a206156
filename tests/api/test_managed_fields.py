import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.apps import CONTROLLER_REVISION, DEPLOYMENT
from kajitori.api.core import CONFIG_MAP, POD
from kajitori.api.meta import Object
from kajitori.api.patch.field_sets import from_fields_v1, shown, to_fields_v1
from kajitori.api.patch.managed_fields import read_managers, update
from kajitori.api.patch.typed import compare, field_set, merge, remove
from kajitori.api.resource import Resource
from kajitori.api.schema import conform
from kajitori.api.schema.nodes import node_of

T1, T2, T3 = (f"2026-01-01T00:00:0{second}Z" for second in (1, 2, 3))
WIDGET = Resource(
    group="example.com",
    version="v1",
    kind="Widget",
    plural="widgets",
    schema={"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}},
)


def managers_of(obj: Object) -> list[str]:
    return [entry["manager"] for entry in obj["metadata"].get("managedFields", ())]


def config_map(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}


def deployment() -> Object:
    obj: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"a": "b"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "containers": [
                        {"name": "c", "image": "i", "args": ["x"], "ports": [{"containerPort": 80, "protocol": "TCP"}]}
                    ]
                },
            },
        },
    }
    conform(DEPLOYMENT, obj)
    return obj


def fields(obj: Object, manager: str) -> Any:
    return next(e["fieldsV1"] for e in obj["metadata"]["managedFields"] if e["manager"] == manager)


def write(obj: Object, old: Object | None, manager: str, now: str = T1, resource: Resource = CONFIG_MAP) -> Object:
    new = copy.deepcopy(obj)
    update(resource, new, old, manager, now)
    return new


def test_a_create_owns_what_it_set() -> None:
    created = write(deployment(), None, "kubectl", T1, DEPLOYMENT)
    assert created["metadata"]["managedFields"] == [
        {
            "manager": "kubectl",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"c"}': {
                                    ".": {},
                                    "f:args": {},
                                    "f:image": {},
                                    "f:name": {},
                                    "f:ports": {
                                        ".": {},
                                        'k:{"containerPort":80,"protocol":"TCP"}': {
                                            ".": {},
                                            "f:containerPort": {},
                                            "f:protocol": {},
                                        },
                                    },
                                    "f:resources": {},
                                }
                            }
                        },
                    },
                },
            },
        }
    ]


def test_a_custom_resource_owns_its_spec_itself() -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    assert fields(write(widget, None, "m", T1, WIDGET), "m") == {"f:spec": {".": {}, "f:size": {}}}


def test_data_of_any_shape_is_owned_as_a_whole() -> None:
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "r"},
        "data": {"a": {"b": 1}},
    }
    assert fields(write(revision, None, "m", T1, CONTROLLER_REVISION), "m") == {"f:data": {}}


def test_a_change_passes_from_one_manager_to_another() -> None:
    created = write(config_map(a="1", b="2"), None, "first")
    changed = write(config_map(a="1", b="3", c="4"), created, "second", T2)
    assert fields(changed, "first") == {"f:data": {".": {}, "f:a": {}}}
    assert fields(changed, "second") == {"f:data": {"f:b": {}, "f:c": {}}}


def test_what_is_removed_belongs_to_nobody() -> None:
    created = write(config_map(a="1", b="2"), None, "first")
    changed = write(config_map(a="1"), created, "second", T2)
    assert managers_of(changed) == ["first"]
    assert fields(changed, "first") == {"f:data": {".": {}, "f:a": {}}}
    assert changed["metadata"]["managedFields"][0]["time"] == T1


def test_a_write_that_changes_nothing_changes_no_entry() -> None:
    created = write(config_map(a="1"), None, "first")
    assert write(config_map(a="1"), created, "second", T2) == created


def test_the_system_s_own_metadata_has_no_manager() -> None:
    obj = config_map(a="1")
    obj["metadata"] |= {"uid": "u", "resourceVersion": "7", "creationTimestamp": T1, "namespace": "n"}
    assert fields(write(obj, None, "m"), "m") == {"f:data": {".": {}, "f:a": {}}}


def test_an_untracked_object_stays_untracked_and_a_tracked_one_can_be_cleared() -> None:
    assert managers_of(write(config_map(a="2"), config_map(a="1"), "m")) == []
    created = write(config_map(a="1"), None, "m")
    cleared = config_map(a="2")
    cleared["metadata"]["managedFields"] = [{}]
    assert "managedFields" not in write(cleared, created, "m")["metadata"]


def test_clients_that_know_nothing_of_managed_fields_keep_them() -> None:
    created = write(config_map(a="1"), None, "first")
    assert managers_of(write(config_map(a="1", b="2"), created, "second", T2)) == ["first", "second"]


def test_subresources_have_entries_of_their_own() -> None:
    created = write(deployment(), None, "m", T1, DEPLOYMENT)
    new = copy.deepcopy(created)
    new["status"] = {"replicas": 1, "conditions": [{"type": "Available", "status": "True"}]}
    update(DEPLOYMENT, new, created, "m", T2, subresource="status")
    entry = new["metadata"]["managedFields"][1]
    assert entry["subresource"] == "status" and list(entry)[-1] == "subresource"
    assert entry["fieldsV1"] == {
        "f:status": {
            "f:conditions": {".": {}, 'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}}},
            "f:replicas": {},
        }
    }


def test_old_update_managers_are_merged() -> None:
    obj = write(config_map(k="0"), None, "m00", "2026-01-01T00:00:00Z")
    for number in range(1, 14):
        data = obj["data"] | {f"k{number}": "x"}
        obj = write(config_map(**data), obj, f"m{number:02}", f"2026-01-01T00:00:{number:02}Z")
    names = managers_of(obj)
    assert len(names) == 10 and names[0] == "ancient-changes"
    assert fields(obj, "ancient-changes")["f:data"].keys() >= {"f:k", "f:k1", "f:k2"}


def test_shown_paths() -> None:
    path = ("f:spec", "f:containers", 'k:{"containerPort":80,"protocol":"TCP"}', "f:image")
    assert shown(path) == '.spec.containers[containerPort=80,protocol="TCP"].image'
    assert shown(("f:metadata", "f:finalizers", 'v:"x"')) == '.metadata.finalizers[="x"]'


names = st.sampled_from("abc")
containers = st.lists(
    st.fixed_dictionaries(
        {"name": names},
        optional={
            "image": st.sampled_from("xy"),
            "args": st.lists(names, max_size=2),
            "env": st.lists(
                st.fixed_dictionaries({"name": names}, optional={"value": names}),
                max_size=3,
                unique_by=lambda e: e["name"],
            ),
        },
    ),
    max_size=3,
    unique_by=lambda c: c["name"],
)
pods = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(names, names)})},
    optional={
        "spec": st.fixed_dictionaries(
            {"containers": containers}, optional={"nodeName": names, "nodeSelector": st.dictionaries(names, names)}
        )
    },
)
NODE = node_of(POD.definition)


@given(pods)
def test_field_sets_survive_their_written_form(pod: Object) -> None:
    members = field_set(NODE, pod)
    assert from_fields_v1(to_fields_v1(members)) == members


@given(pods, pods)
def test_comparing_both_ways_mirrors(old: Object, new: Object) -> None:
    there, back = compare(NODE, old, new), compare(NODE, new, old)
    assert there.added == back.removed and there.removed == back.added and there.modified == back.modified


@given(pods)
def test_an_object_does_not_differ_from_itself(pod: Object) -> None:
    found = compare(NODE, pod, copy.deepcopy(pod))
    assert not (found.added or found.removed or found.modified)


@given(pods, pods)
def test_merging_wins_and_is_idempotent(live: Object, config: Object) -> None:
    before = copy.deepcopy((live, config))
    merged = merge(NODE, live, config)
    assert (live, config) == before, "merging changes neither side"
    assert merge(NODE, merged, config) == merged
    changes = compare(NODE, merged, merge(NODE, merged, config))
    assert not changes.added and not changes.modified
    assert field_set(NODE, config) <= field_set(NODE, merged) | field_set(NODE, config)


@given(pods, pods)
def test_removing_leaves_none_of_the_removed(pod: Object, other: Object) -> None:
    gone = field_set(NODE, other)
    left = remove(NODE, pod, gone)
    nulls = {path for path in field_set(NODE, left or {}) if path in gone}
    assert not nulls


def test_an_empty_list_of_entries_clears_them() -> None:
    old = config_map(a="1")
    update(CONFIG_MAP, old, None, "a", T1)
    new = config_map(a="1")
    new["metadata"]["managedFields"] = []
    update(CONFIG_MAP, new, old, "b", T2)
    assert "managedFields" not in new["metadata"]


def test_of_two_entries_of_one_owner_the_last_counts() -> None:
    entry = {"manager": "a", "operation": "Update", "apiVersion": "v1"}
    entries = [{**entry, "fieldsV1": {"f:data": {f"f:{key}": {}}}} for key in "xy"]
    (owned,) = read_managers(entries).values()
    assert owned.fields == {("f:data", "f:y")}
