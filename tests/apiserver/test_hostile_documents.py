"""Whatever a patch, a token or a selector says: a document, or a refusal in the API's words."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api import core
from kajitori.api.errors import StatusError
from kajitori.api.patch import json_patch, merge, strategic
from kajitori.api.selectors import parse_field_selector, parse_label_selector
from kajitori.apiserver.rest.continuation import Position, decode_token, encode_token

NAMES = st.sampled_from(["a", "b", "name", "spec", "containers", "metadata", "labels", "env", "$patch", "$retainKeys",
    "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "finalizers", ""])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "delete", "replace", "merge", "c"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=5)
POINTERS = st.lists(st.sampled_from(["a", "b", "0", "-1", "-", "01", "~2", "spec", "9" * 30, ""]), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | VALUES,
            "path": POINTERS | VALUES,
            "from": POINTERS | VALUES,
            "value": VALUES,
        },
    ),
    max_size=5,
)
POD = {
    "metadata": {"name": "a", "finalizers": ["x/a"]},
    "spec": {"containers": [{"name": "c", "env": [{"name": "E", "value": "1"}]}, {"name": "d"}]},
}
CHECKED = settings(max_examples=200, deadline=None, derandomize=True)


def refused_or_written(apply: Any, document: Any, patch: Any) -> Any:
    before = copy.deepcopy(document)
    try:
        patched = apply(document, patch)
    except StatusError as error:
        assert 400 <= error.status_code <= 500 and error.message
        return None
    finally:
        assert document == before
    orjson.dumps(patched)
    return patched


@CHECKED
@given(DOCUMENTS, OPERATIONS | VALUES)
def test_any_json_patch(document: Any, patch: Any) -> None:
    refused_or_written(json_patch.apply, document, patch)


@CHECKED
@given(DOCUMENTS, VALUES)
def test_any_merge_patch_and_once_is_as_good_as_twice(document: Any, patch: Any) -> None:
    patched = refused_or_written(merge.apply, document, patch)
    if patched is not None:
        assert merge.apply(patched, patch) == patched


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({}, optional={"metadata": VALUES, "spec": DOCUMENTS, "$patch": VALUES, "a": VALUES}))
def test_any_strategic_patch(patch: Any) -> None:
    refused_or_written(lambda pod, wanted: strategic.apply(pod, wanted, core.POD), POD, patch)


@CHECKED
@given(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), st.sampled_from("abc"), VALUES)
def test_what_a_json_patch_adds_it_finds_and_removes_again(document: Any, key: str, value: Any) -> None:
    added = json_patch.apply(document, [{"op": "add", "path": f"/{key}", "value": value}])
    assert json_patch.apply(added, [{"op": "test", "path": f"/{key}", "value": value}]) == added
    removed = json_patch.apply(added, [{"op": "remove", "path": f"/{key}"}])
    assert removed == {name: item for name, item in document.items() if name != key}


@CHECKED
@given(st.text(max_size=30) | st.binary(max_size=30).map(lambda raw: encode_token(Position(1, raw.hex()))[:-3]))
def test_any_continue_token(token: str) -> None:
    try:
        position = decode_token(token)
    except StatusError as error:
        assert error.status_code == 400
        return
    assert decode_token(encode_token(position)) == position


@CHECKED
@given(st.text(max_size=40))
def test_any_selector(text: str) -> None:
    for parse in (parse_label_selector, parse_field_selector):
        try:
            parse(text)
        except StatusError as error:
            assert error.status_code == 400


RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("document", "patch", "result"), RFC_7386)
def test_examples_of_rfc_7386(document: Any, patch: Any, result: Any) -> None:
    assert merge.apply(document, patch) == result
