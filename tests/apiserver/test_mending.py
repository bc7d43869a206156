import copy
from typing import Any

import pytest

from kajitori.api import core
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.apiserver.rest.mending import mend_managed_fields, mend_owners
from kajitori.testing.requests import ADMIN

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
ENTRY = {"manager": "m", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}


def request(**metadata: Any) -> AdmissionRequest:
    obj = {"metadata": {"name": "c", **metadata}}
    return AdmissionRequest(ADMIN, Operation.CREATE, core.CONFIG_MAP, "default", "c", obj)


@pytest.mark.parametrize(("admitted", "when"), [(False, ""), (True, " after mutating admission happens")])
def test_an_owner_that_is_named_twice_is_kept_once(admitted: bool, when: str) -> None:
    other = {**OWNER, "controller": True}
    asked = request(ownerReferences=[OWNER, other, copy.deepcopy(OWNER)])
    mend_owners(asked, admitted=admitted)
    assert asked.object is not None
    assert asked.object["metadata"]["ownerReferences"] == [OWNER, other]
    (warning,) = asked.warnings
    assert warning.startswith(f".metadata.ownerReferences contains duplicate entries{when}; API server dedups")
    assert warning.endswith("duplicate UID(s) observed: u")
    asked = request(ownerReferences=[OWNER, other])
    mend_owners(asked, admitted=admitted)
    assert asked.warnings == []


@pytest.mark.parametrize(
    ("spoiled", "why"),
    [
        ({"operation": "Other"}, "operation must be `Apply` or `Update`"),
        ({"apiVersion": ""}, "apiVersion must not be empty"),
        ({"fieldsType": ""}, "missing fieldsType in managed fields entry 0"),
        ({"fieldsType": "V2"}, 'invalid fieldsType "V2" in managed fields entry 0'),
    ],
)
def test_spoiled_managed_fields_are_put_back(spoiled: dict[str, str], why: str) -> None:
    asked = request(managedFields=[{**ENTRY, **spoiled}])
    mend_managed_fields(asked, [ENTRY])
    assert asked.object is not None
    assert asked.object["metadata"]["managedFields"] == [ENTRY]
    assert asked.warnings[0].endswith(f"please fix your requests: {why}")


def test_managed_fields_that_can_be_read_stay_as_admission_left_them() -> None:
    changed = {**ENTRY, "manager": "webhook"}
    asked = request(managedFields=[changed])
    mend_managed_fields(asked, [ENTRY])
    assert asked.object is not None
    assert asked.object["metadata"]["managedFields"] == [changed]
    assert asked.warnings == []
