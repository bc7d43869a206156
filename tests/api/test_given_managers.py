"""managedFields that a client writes itself."""

import pytest

from kajitori.api.core import CONFIG_MAP
from kajitori.api.patch import managed_fields
from kajitori.api.patch.given_managers import knows, readable

NOW = "2027-01-15T08:00:00Z"
ENTRY = {
    "manager": "x",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {"f:a": {}}},
}
STORED = [{**ENTRY, "manager": "first", "time": "2027-01-01T00:00:00Z"}]


def owners_after(given):
    """Who owns something of a ConfigMap once `ed` changed a label and sent these entries."""
    old = {"metadata": {"name": "c", "managedFields": STORED}, "data": {"a": "1"}}
    new = {"metadata": {"name": "c", "labels": {"l": "1"}, "managedFields": given}, "data": {"a": "1"}}
    managed_fields.update(CONFIG_MAP, new, old, "ed", NOW)
    return [entry.get("manager") for entry in new["metadata"].get("managedFields", ())]


def test_what_can_be_read_takes_the_place_of_what_was_there():
    assert owners_after([ENTRY]) == ["x", "ed"]


@pytest.mark.parametrize("given", [[], [{}]])
def test_nobody_owns_what_is_reset(given):
    assert owners_after(given) == []


@pytest.mark.parametrize(
    "flaw",
    [
        {"operation": "Bogus"},
        {"operation": ""},
        {"apiVersion": ""},
        {"fieldsType": ""},
        {"fieldsType": "V2"},
        {"fieldsV1": {"bad": {}}},
        {"fieldsV1": {"f:data": "x"}},
        {"fieldsV1": {"k:{bad": {}}},
        {"fieldsV1": {"i:x": {}}},
        {"fieldsV1": []},
    ],
)
def test_one_entry_that_cannot_be_read_spoils_them_all(flaw):
    assert owners_after([ENTRY, {**ENTRY, **flaw}]) == ["first", "ed"]


def test_an_entry_without_fields_owns_nothing():
    assert owners_after([{**ENTRY, "fieldsV1": None}]) == ["ed"]


def test_entries_of_a_version_that_the_kind_never_had_go():
    assert owners_after([{**ENTRY, "apiVersion": "zz.z/v1"}]) == ["ed"]
    assert owners_after([{**ENTRY, "apiVersion": "a/b/c"}]) == []
    assert knows(CONFIG_MAP, "extensions/v1beta1") and not knows(CONFIG_MAP, "apps/v1")


def test_a_manager_without_a_name_is_written_without_one():
    assert owners_after([{**ENTRY, "manager": ""}]) == [None, "ed"]


def test_elements_of_kinds_yet_unknown_are_no_flaw():
    assert readable([{**ENTRY, "fieldsV1": {"z:new": {}, ".": {}, "v:1": {}, 'k:{"a":1}': {}, "i:-1": {}}}])
