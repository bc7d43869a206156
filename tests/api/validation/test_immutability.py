"""What may not change, shown as upstream's internal types print it."""

import pytest

from kajitori.api import apps, dynamic_resources, events, scheduling, storage


def refused(resource, new, old):
    rule = resource.revalidate or resource.validate_update
    return [str(error) for error in rule(new, old)]


@pytest.mark.parametrize(
    ("resource", "new", "old", "expected"),
    [
        (
            apps.REPLICA_SET,
            {
                "spec": {
                    "selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}], "matchLabels": {"a": "b"}}
                }
            },
            {"spec": {"selector": {"matchLabels": {"a": "c"}}}},
            'spec.selector: Invalid value: {"matchLabels":{"a":"b"},'
            '"matchExpressions":[{"key":"a","operator":"Exists"}]}',
        ),
        (
            storage.VOLUME_ATTACHMENT,
            {"spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "q"}}},
            {"spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "p"}}},
            'spec: Invalid value: {"Attacher":"d","Source":{"PersistentVolumeName":"q","InlineVolumeSpec":null},'
            '"NodeName":"n"}',
        ),
        (
            storage.CSI_NODE,
            {"spec": {"drivers": [{"name": "d", "nodeID": "j", "allocatable": {"count": 5}}]}},
            {"spec": {"drivers": [{"name": "d", "nodeID": "i"}]}},
            'spec.drivers: Invalid value: {"Name":"d","NodeID":"j","TopologyKeys":null,"Allocatable":null}',
        ),
        (
            events.EVENT,
            {"metadata": {"namespace": "default"}, "regarding": {"kind": "Pod"}},
            {"metadata": {"namespace": "default"}, "regarding": {"kind": "Node"}},
            'involvedObject: Invalid value: {"Kind":"Pod","Namespace":"","Name":"","UID":"","APIVersion":"",'
            '"ResourceVersion":"","FieldPath":""}',
        ),
        (
            storage.CSI_DRIVER,
            {"spec": {"attachRequired": True}},
            {"spec": {}},
            "spec.attachedRequired: Invalid value: true",
        ),
    ],
)
def test_a_change_is_refused(resource, new, old, expected):
    assert refused(resource, new, old) == [f"{expected}: field is immutable"]


def test_how_many_volumes_fit_may_change():
    new, old = ({"spec": {"drivers": [{"name": "d", "allocatable": {"count": count}}]}} for count in (1, 2))
    assert refused(storage.CSI_NODE, new, old) == []


def test_of_a_claim_only_the_change_is_judged():
    rule = dynamic_resources.RESOURCE_CLAIM.revalidate
    assert rule({"spec": {}}, {"spec": {}}) == []
    (error,) = rule({"spec": {"devices": {"requests": [{"name": "r"}]}}}, {"spec": {}})
    assert str(error).startswith('spec: Invalid value: {"Devices":{"Requests":[{"Name":"r","Exactly":null,')


def test_generations_that_are_counted_in_part():
    driver = {"metadata": {}, "spec": {"podInfoOnMount": True}}
    storage.CSI_DRIVER.prepare_update(driver, {"metadata": {}, "spec": {}})
    priority_class = {"metadata": {}}
    scheduling.PRIORITY_CLASS.prepare_create(priority_class)
    assert (driver["metadata"], priority_class["metadata"]) == ({"generation": 1}, {"generation": 1})
