"""What an endpoint may change."""

from kajitori.api.certificates import CERTIFICATE_SIGNING_REQUEST
from kajitori.api.core import NAMESPACE, PERSISTENT_VOLUME, POD
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.rest.scopes import prepare_part, scope_of


def test_approval_changes_conditions_and_metadata_and_nothing_else() -> None:
    merge = scope_of(CERTIFICATE_SIGNING_REQUEST, "approval")
    assert merge is not None
    old = {"metadata": {"name": "r"}, "spec": {"signerName": "a/b"}, "status": {"certificate": "c"}}
    approved = {"type": "Approved", "status": "True"}
    metadata = {"name": "r", "annotations": {"by": "me"}}
    new = {
        "metadata": metadata,
        "spec": {"signerName": "x/y"},
        "status": {"certificate": "z", "conditions": [approved]},
    }
    assert merge(new, old) == {
        "metadata": metadata,
        "spec": {"signerName": "a/b"},
        "status": {"certificate": "c", "conditions": [approved]},
    }


def written(kind: Resource, status: Object, before: Object, **metadata: Object) -> Object:
    """A status as its endpoint leaves it."""
    new: Object = {"metadata": metadata, "status": status, "spec": {"template": {"metadata": {}}}}
    prepare_part(kind, "status", new, {"metadata": {}, "status": before}, "now")
    return new


def test_a_volume_tells_when_its_phase_changed() -> None:
    before = {"phase": "Pending", "lastPhaseTransitionTime": "then"}
    assert written(PERSISTENT_VOLUME, {"phase": "Pending"}, before)["status"] == before
    changed = written(PERSISTENT_VOLUME, {"phase": "Bound", "lastPhaseTransitionTime": "then"}, before)
    assert changed["status"] == {"phase": "Bound", "lastPhaseTransitionTime": "now"}


def test_a_pods_class_and_what_was_seen_of_its_generation_stay() -> None:
    before = {"qosClass": "Burstable", "conditions": [{"type": "Ready", "observedGeneration": 3}]}
    status = written(POD, {"conditions": [{"type": "Ready", "status": "True"}]}, before)["status"]
    assert status == {
        "qosClass": "Burstable",
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3}],
    }


def test_finalize_leaves_the_status_alone_and_nothing_else() -> None:
    merge = scope_of(NAMESPACE, "finalize")
    assert merge is not None
    new = {"metadata": {"name": "n"}, "spec": {}, "status": {"phase": "Other"}}
    assert merge(new, {"metadata": {"name": "n", "labels": {}}, "status": {"phase": "Active"}}) == {
        "metadata": {"name": "n"},
        "spec": {},
        "status": {"phase": "Active"},
    }


def test_a_resize_that_adds_a_container_is_left_to_validation() -> None:
    merge = scope_of(POD, "resize")
    assert merge is not None
    more = {"metadata": {}, "spec": {"containers": [{"name": "a"}, {"name": "b"}]}}
    assert merge(more, {"metadata": {}, "spec": {"containers": [{"name": "a"}]}}) == more
