"""What an endpoint may change."""

from kajitori.api.certificates import CERTIFICATE_SIGNING_REQUEST
from kajitori.apiserver.rest.scopes import scope_of


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
