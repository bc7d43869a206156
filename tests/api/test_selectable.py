"""Selectable fields read from stored documents."""

import pytest

from kajitori.api import batch, core


@pytest.mark.parametrize(
    ("resource", "obj", "field", "value"),
    [
        (core.POD, {"spec": {"nodeName": "n"}}, "spec.nodeName", "n"),
        (core.POD, {"spec": {}}, "spec.nodeName", ""),
        (core.POD, {"spec": {}}, "spec.hostNetwork", "false"),
        (core.POD, {"spec": {"hostNetwork": True}}, "spec.hostNetwork", "true"),
        (core.POD, {"status": {"podIPs": [{"ip": "10.244.0.5"}]}}, "status.podIP", "10.244.0.5"),
        (core.NODE, {"spec": {"unschedulable": True}}, "spec.unschedulable", "true"),
        (core.EVENT, {"involvedObject": {"name": "p"}}, "involvedObject.name", "p"),
        (core.EVENT, {"reportingComponent": "c"}, "source", "c"),
        (core.SECRET, {"type": "Opaque"}, "type", "Opaque"),
        (batch.JOB, {}, "status.successful", "0"),
    ],
)
def test_field(resource, obj, field, value):
    assert resource.selectable_fields[field](obj) == value
