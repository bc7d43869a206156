"""A revision is read from an annotation, which anybody may have written."""

import pytest

from kajitori.controllers.deployment.revisions import REVISION, annotations_for, next_revision


def replica_set(revision: str | None) -> dict:
    return {"metadata": {"name": "rs", "annotations": {} if revision is None else {REVISION: revision}}}


@pytest.mark.parametrize("text", [None, "", "x", "-3", "\u00b2", "9" * 5_000])
def test_what_is_no_number_is_no_revision(text):
    assert next_revision([replica_set("3"), replica_set(text)]) == 4
    deployment = {"metadata": {"name": "d"}}
    assert annotations_for(deployment, replica_set(text), 4)[REVISION] == "4"


def test_a_set_keeps_a_later_revision():
    assert annotations_for({"metadata": {"name": "d"}}, replica_set("7"), 4)[REVISION] == "7"
