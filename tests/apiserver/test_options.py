"""Options of writes and deletions: what is refused, in which order and words."""

import pytest

from kajitori.api.errors import BadRequest, Invalid
from kajitori.apiserver.http_types import Query
from kajitori.apiserver.rest.deletion_options import delete_options
from kajitori.apiserver.rest.options import patch_options, write_options

JSON = "application/json"


def refused(call):
    with pytest.raises(Invalid) as caught:
        call()
    return str(caught.value).partition("is invalid: ")[2]


def test_the_manager_is_judged_first_and_the_validation_last():
    said = refused(lambda: write_options(Query("fieldValidation=y&dryRun=x&fieldManager=%00")))
    assert said == (
        '[fieldManager: Invalid value: "\\x00": invalid character U+0000 (at position 0), '
        'dryRun: Unsupported value: ["x"]: supported values: "All", '
        'fieldValidation: Unsupported value: "y": supported values: "", "Ignore", "Strict", "Warn"]'
    )


def test_every_character_of_a_manager_that_cannot_be_seen_is_told_with_its_byte():
    said = refused(lambda: write_options(Query("fieldManager=%C3%A9%0A%E2%80%8B")))
    shown = '"é\\n\\u200b"'
    assert said == (
        f"[fieldManager: Invalid value: {shown}: invalid character U+000A (at position 2), "
        f"fieldManager: Invalid value: {shown}: invalid character U+200B (at position 3)]"
    )


def test_a_manager_is_measured_in_bytes():
    assert write_options(Query("fieldManager=" + "%C3%A9" * 64)).manager == "é" * 64
    said = refused(lambda: write_options(Query("fieldManager=" + "%C3%A9" * 65)))
    assert said == "fieldManager: Too long: may not be more than 128 bytes"


@pytest.mark.parametrize("query", ["force=true", "force=false", "force="])
def test_force_is_for_apply_alone(query):
    said = refused(lambda: patch_options(Query(query), apply=False))
    assert said == "force: Forbidden: may not be specified for non-apply patch"
    assert patch_options(Query(f"{query}&fieldManager=m"), apply=True).force == (query != "force=false")


def test_who_applies_says_who_it_is_whatever_else_is_wrong():
    assert refused(lambda: patch_options(Query(""), apply=True)) == (
        "fieldManager: Required value: is required for apply patch"
    )
    assert refused(lambda: patch_options(Query("dryRun=x"), apply=True)).startswith("[fieldManager: Required value")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"kind":"Pod"}', 'no kind "Pod" is registered for version "meta.k8s.io/v1" in scheme '),
        (b'{"kind":"Pod","apiVersion":"policy/v1"}', 'no kind "Pod" is registered for version "policy/v1" in scheme '),
        (b'{"kind":"Status","apiVersion":"zz/v1"}', "converting (v1.Status) to (v1.DeleteOptions): unknown conversion"),
        (b'{"kind":"Table"}', "converting (v1.Table) to (v1.DeleteOptions): unknown conversion"),
        (b'{"kind":"Table","apiVersion":"v1"}', 'no kind "Table" is registered for version "v1" in scheme '),
        (b'{"apiVersion":"a/b/c"}', "unexpected GroupVersion string: a/b/c"),
        (b'{"apiVersion":"policy/"}', "Object 'apiVersion' is missing in '{\"apiVersion\":\"policy/\"}'"),
        (
            b'{"kind":3}',
            "couldn't get version/kind; json parse error: "
            "json: cannot unmarshal number into Go struct field .kind of type string",
        ),
        (
            b'{"gracePeriodSeconds":1.5}',
            "json: cannot unmarshal number 1.5 into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            b'{"gracePeriodSeconds":9223372036854775808}',
            "json: cannot unmarshal number 9223372036854775808 into Go struct field "
            "DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (b'{"dryRun":[1]}', "json: cannot unmarshal number into Go struct field DeleteOptions.dryRun of type string"),
        (
            b'{"preconditions":{"uid":3}}',
            "json: cannot unmarshal number into Go struct field Preconditions.preconditions.uid of type types.UID",
        ),
        (
            b'{"ignoreStoreReadErrorWithClusterBreakingPotential":"x"}',
            "json: cannot unmarshal string into Go struct field "
            "DeleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential of type bool",
        ),
    ],
)
def test_what_is_no_document_of_delete_options_is_refused(body, why):
    with pytest.raises(BadRequest) as caught:
        delete_options(Query(""), body, JSON)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("version", [b"v1", b"apps/v1", b"zz/v9", b"meta.k8s.io/v1"])
def test_delete_options_are_known_in_every_version(version):
    body = b'{"kind":"DeleteOptions","apiVersion":"%b","gracePeriodSeconds":7}' % version
    assert delete_options(Query(""), body, JSON).grace_period_s == 7


def test_a_policy_beside_the_older_field_is_refused_for_both_reasons():
    said = refused(lambda: delete_options(Query(""), b'{"propagationPolicy":"","orphanDependents":true}', JSON))
    assert said == (
        '[propagationPolicy: Invalid value: "": orphanDependents and deletionPropagation cannot be both set, '
        'propagationPolicy: Unsupported value: "": supported values: "Foreground", "Background", "Orphan", "nil"]'
    )
    said = refused(lambda: delete_options(Query(""), b'{"dryRun":["x"],"propagationPolicy":"Bogus"}', JSON))
    assert said.index("propagationPolicy") < said.index("dryRun")


def test_an_empty_policy_is_refused_by_the_query_too():
    assert refused(lambda: delete_options(Query("propagationPolicy="), b"", JSON)).startswith("propagationPolicy: Unsu")


def test_a_precondition_that_is_given_empty_is_given():
    options = delete_options(Query(""), b'{"preconditions":{"uid":""}}', JSON)
    assert (options.uid, options.resource_version) == ("", None)
    assert delete_options(Query(""), b'{"preconditions":{}}', JSON).uid is None
