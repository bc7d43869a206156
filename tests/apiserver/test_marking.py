"""What a deletion makes of an object before it goes."""

import pytest

from kajitori.api.core import CONFIG_MAP, EVENT, NAMESPACE, POD
from kajitori.apiserver.rest.deletion_options import DeleteOptions
from kajitori.apiserver.rest.marking import mark

NOW_S = 1_800_000_000.0
NOW, IN_10_S, IN_30_S = "2027-01-15T08:00:00Z", "2027-01-15T08:00:10Z", "2027-01-15T08:00:30Z"


def pod(node="n", **metadata):
    spec = {"nodeName": node} if node else {}
    return {"metadata": {"name": "p", "generation": 1, **metadata}, "spec": spec}


def deleting(at, grace_s, **metadata):
    return pod(deletionTimestamp=at, deletionGracePeriodSeconds=grace_s, **metadata)


def marks(marked):
    metadata = marked.obj["metadata"]
    fields = ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "finalizers")
    return tuple(metadata.get(field) for field in fields)


def test_an_unscheduled_pod_goes_at_once_and_is_shown_as_it_went():
    marked = mark(POD, pod(node=""), DeleteOptions(), NOW_S)
    assert not marked.stays and marks(marked) == (NOW, 0, 2, None)


def test_a_policy_said_too_late_changes_nothing():
    held = deleting(IN_30_S, 30, finalizers=["e.x/f"])
    marked = mark(POD, held, DeleteOptions(policy="Orphan"), NOW_S)
    assert marked == (held, True)
    assert mark(POD, held, DeleteOptions(grace_period_s=30, policy="Orphan"), NOW_S) == (held, True)


def test_a_deletion_is_hurried_from_when_it_was_asked_for():
    marked = mark(POD, deleting(IN_30_S, 30), DeleteOptions(grace_period_s=10), NOW_S)
    assert marked.stays and marks(marked)[:2] == (IN_10_S, 10)


def test_a_hurried_deletion_does_not_end_in_the_past():
    marked = mark(POD, deleting(NOW, 30), DeleteOptions(grace_period_s=5), NOW_S)
    assert marked.stays and marks(marked)[:2] == (NOW, 1)
    marked = mark(POD, deleting(NOW, 30), DeleteOptions(grace_period_s=0), NOW_S)
    assert not marked.stays and marks(marked)[:2] == (NOW, 0)


def test_what_its_finalizers_hold_has_no_grace_left():
    held = {"metadata": {"name": "c", "finalizers": ["e.x/f"], "generation": 3}}
    assert marks(mark(CONFIG_MAP, held, DeleteOptions(), NOW_S)) == (NOW, 0, 4, ["e.x/f"])


def test_what_loses_its_last_finalizer_is_shown_as_it_was():
    held = {"metadata": {"name": "c", "finalizers": ["foregroundDeletion"]}}
    assert mark(CONFIG_MAP, held, DeleteOptions(policy="Background"), NOW_S) == (held, False)


def test_events_have_no_dependents_to_wait_for():
    event = {"metadata": {"name": "e", "finalizers": ["foregroundDeletion"]}}
    assert not mark(EVENT, event, DeleteOptions(policy="Foreground"), NOW_S).stays


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        (DeleteOptions(), ["e.x/f"]),
        (DeleteOptions(policy="Orphan", orphan_asked=True), ["e.x/f", "orphan"]),
        (DeleteOptions(policy="Background", orphan_asked=False), ["e.x/f", "foregroundDeletion"]),
        (DeleteOptions(policy="Foreground"), ["e.x/f", "foregroundDeletion"]),
    ],
)
def test_a_namespace_never_goes_at_the_first_request(options, finalizers):
    namespace = {"metadata": {"name": "n", "finalizers": ["e.x/f"]}, "spec": {}, "status": {"phase": "Active"}}
    marked = mark(NAMESPACE, namespace, options, NOW_S)
    assert marked.stays and marks(marked) == (NOW, None, None, finalizers)
    assert marked.obj["status"] == {"phase": "Terminating"}


def test_a_namespace_waits_for_the_finalizers_of_its_spec():
    namespace = {"metadata": {"name": "n", "deletionTimestamp": NOW}, "spec": {"finalizers": ["kubernetes"]}}
    assert mark(NAMESPACE, namespace, DeleteOptions(policy="Orphan"), NOW_S) == (namespace, True)
    assert not mark(NAMESPACE, {**namespace, "spec": {}}, DeleteOptions(), NOW_S).stays
