"""The fields of a new object, in one walk, are those that the general comparison finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.core import CONFIG_MAP, POD, SERVICE
from kajitori.api.patch.field_sets import to_fields_v1
from kajitori.api.patch.managed_fields import STRIPPED, update
from kajitori.api.patch.typed import changed_fields, compare
from kajitori.api.rbac import CLUSTER_ROLE
from kajitori.api.schema import conform
from kajitori.api.schema.conform import empty_object
from kajitori.api.schema.structural import resource_node

CONTAINER = {"name": "c", "image": "i", "ports": [{"containerPort": 80}, {"containerPort": 81, "protocol": "UDP"}]}
OBJECTS = [
    (CONFIG_MAP, {"metadata": {"name": "a"}}),
    (CONFIG_MAP, {"metadata": {"name": "a", "labels": {"x": "y"}, "finalizers": ["a/b"]}, "data": {"k": ""}}),
    (POD, {"metadata": {"name": "p", "annotations": {"a": "b"}}, "spec": {"containers": [CONTAINER]}}),
    (
        DEPLOYMENT,
        {"metadata": {"name": "d"}, "spec": {"selector": {}, "template": {"spec": {"containers": [CONTAINER]}}}},
    ),
    (SERVICE, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "targetPort": "http"}], "selector": {}}}),
    (CLUSTER_ROLE, {"metadata": {"name": "r"}, "rules": [{"verbs": ["get"], "apiGroups": [""]}]}),
    (CLUSTER_ROLE, {"metadata": {"name": "r"}, "rules": []}),
]


def by_comparison(resource, obj):
    changes = compare(resource_node(resource), empty_object(resource), obj)
    return to_fields_v1(frozenset(changes.added | changes.modified) - STRIPPED)


@pytest.mark.parametrize(("resource", "obj"), OBJECTS)
def test_of_objects(resource, obj):
    conform(resource, obj)
    expected = by_comparison(resource, obj)
    update(resource, obj, None, "tester", "2026-01-01T00:00:00Z")
    entries = obj["metadata"].get("managedFields", [])
    assert [entry["fieldsV1"] for entry in entries] == ([expected] if expected else [])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_of_anything(old, new):
    node = resource_node(CONFIG_MAP)
    old, new = {"data": old, "other": old}, {"data": new, "other": new}
    changes = compare(node, old, new)
    assert (changed_fields(node, old, new) or {}) == to_fields_v1(changes.added | changes.modified)
