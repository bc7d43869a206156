"""Events of both groups, old and new style."""

import pytest

from kajitori.api import core, events

OLD = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": {"namespace": "default"}}
REPORTED = {"eventTime": "2026-01-01T00:00:00.000000Z", "reportingInstance": "i", "action": "A", "reason": "R"}
NEW = {
    "metadata": {"name": "e", "namespace": "default"},
    "regarding": {"namespace": "default"},
    "reportingController": "a.b/c",
    "type": "Normal",
    **REPORTED,
}


OTHER_NAMESPACE = 'involvedObject.namespace: Invalid value: "x": does not match event.namespace'


def of_core(**fields):
    return [str(error) for error in core.EVENT.validate({**OLD, **fields})]


def of_events(**fields):
    return [str(error) for error in events.EVENT.validate({**NEW, **fields})]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"involvedObject": {"namespace": "x"}}, [OTHER_NAMESPACE]),
        ({"involvedObject": {}}, []),
        ({**REPORTED, "reportingComponent": "c"}, []),
        ({**REPORTED, "reportingComponent": "c", "involvedObject": {"namespace": "x"}}, []),
        ({**REPORTED, "reportingComponent": "c", "action": ""}, ["action: Required value"]),
        (
            {**REPORTED, "reportingComponent": "c", "reason": "x" * 129},
            ['reason: Invalid value: "": can have at most 128 characters'],
        ),
    ],
)
def test_an_event_of_the_core_group(fields, wrong):
    assert of_core(**fields) == wrong


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, []),
        ({"eventTime": None}, ["eventTime: Required value"]),
        ({"type": "x"}, ['type: Invalid value: "": has invalid value: x']),
        ({"note": "x" * 1025}, ['message: Invalid value: "": can have at most 1024 characters']),
        (
            {"series": {"count": 1}},
            ['series.count: Invalid value: "": should be at least 2', "series.lastObservedTime: Required value"],
        ),
        ({"deprecatedCount": 1}, ['count: Invalid value: "": needs to be unset']),
        ({"deprecatedSource": {"host": "h"}}, ['source: Invalid value: "": needs to be unset']),
    ],
)
def test_an_event_of_its_own_group(fields, wrong):
    assert of_events(**fields) == wrong


@pytest.mark.parametrize(
    ("changed", "fields"),
    [
        ({"reason": ""}, ["reason", "reason", "reason"]),
        ({"action": ""}, ["action", "action"]),
        ({"series": {"count": 1}}, ["series.count", "series.lastObservedTime"]),
        ({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:00.000000Z"}}, []),
    ],
)
def test_an_event_that_changes_is_still_one(changed, fields):
    assert [error.field for error in events.EVENT.revalidate({**NEW, **changed}, NEW)] == fields
