"""Bodies of patches that are none, refused as a live v1.36 API server refuses them."""

import pytest

from kajitori.api.errors import BadRequest
from kajitori.apiserver.rest.patch_documents import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, decode_patch

_MAP = "Go value of type map[string]interface {}"
_OPERATION = "handlers.jsonPatchOp"


@pytest.mark.parametrize(
    ("media", "body", "message"),
    [
        (STRATEGIC_PATCH, b'"x"', f"json: cannot unmarshal string into {_MAP}"),
        (STRATEGIC_PATCH, b"[1]", f"json: cannot unmarshal array into {_MAP}"),
        (STRATEGIC_PATCH, b"{", "unexpected end of JSON input"),
        (MERGE_PATCH, b"5", f"error decoding patch: json: cannot unmarshal number into {_MAP}"),
        (MERGE_PATCH, b"null", "Invalid JSON Patch"),
        (MERGE_PATCH, b"", "error decoding patch: unexpected end of JSON input"),
        (
            JSON_PATCH,
            b"{}",
            f"error decoding patch: json: cannot unmarshal object into Go value of type []{_OPERATION}",
        ),
        (JSON_PATCH, b"[5]", f"error decoding patch: json: cannot unmarshal number into Go value of type {_OPERATION}"),
        (
            JSON_PATCH,
            b'[{"op":"add","path":5}]',
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string",
        ),
    ],
)
def test_what_is_no_patch(media: str, body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        decode_patch(media, body)
    assert caught.value.message == message


def test_nothing_at_all_changes_nothing() -> None:
    assert decode_patch(STRATEGIC_PATCH, b"null") == {}
    assert decode_patch(JSON_PATCH, b"null") == []
    assert decode_patch(JSON_PATCH, b"[null]") == [{}]


def test_integers_beyond_64_bits_are_floats_where_nothing_says_their_type() -> None:
    body = b'{"a":[9223372036854775807,9223372036854775808,true]}'
    for media in (STRATEGIC_PATCH, APPLY_PATCH):
        assert repr(decode_patch(media, body)) == "{'a': [9223372036854775807, 9.223372036854776e+18, True]}"
    assert repr(decode_patch(MERGE_PATCH, body)["a"][1]) == "9223372036854775808"
