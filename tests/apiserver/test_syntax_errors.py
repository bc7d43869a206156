"""Bodies that are no JSON or YAML are refused in Go's words: clients show them, and upstream's tests look for them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.negotiate import Malformed, decode_body
from kajitori.kit.syntax_errors import json_error

NAMESPACES = "/api/v1/namespaces"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "unexpected end of JSON input"),
        ('{"a":', "unexpected end of JSON input"),
        ('["', "unexpected end of JSON input"),
        ("tru", "unexpected end of JSON input"),
        ("-", "unexpected end of JSON input"),
        ("apiVersion: v1", "invalid character 'a' looking for beginning of value"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("{'a':1}", r"invalid character '\'' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ('{"a":1]', "invalid character ']' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{} x", "invalid character 'x' after top-level value"),
        ('"a\nb"', r"invalid character '\n' in string literal"),
        (r'"\x"', "invalid character 'x' in string escape code"),
        (r'"\u12g4"', "invalid character 'g' in \\u hexadecimal character escape"),
        ("-a", "invalid character 'a' in numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+x", "invalid character 'x' in exponent of numeric literal"),
        ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
    ],
)
def test_json(text: str, why: str) -> None:
    assert json_error(text.encode()) == why


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_nothing_is_wrong_with_json(document: object) -> None:
    assert json_error(orjson.dumps(document)) == ""


@given(st.text(alphabet='{}[]",:\\u0 1e.-truefalsn\n'))
def test_what_is_refused_has_a_reason(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        reason = json_error(text.encode())
        assert reason or "surrogate" in str(error) or "range" in str(error)
    else:
        assert json_error(text.encode()) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: b: c", "yaml: mapping values are not allowed in this context"),
        ("kind: Namespace\n\tx: 1", "yaml: line 2: found a tab character that violates indentation"),
    ],
)
def test_yaml(text: str, why: str) -> None:
    with pytest.raises(Malformed) as refused:
        decode_body(text.encode(), "application/yaml")
    assert refused.value.message == why


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"kind: Pod",
            "the object provided is unrecognized (must be of type Namespace): couldn't get version/kind; json parse "
            "error: invalid character 'k' looking for beginning of value (6b696e643a20506f64)",
        ),
        (
            b'{"kind":"Namespace","apiVersion":"v2"}',
            'Namespace in version "v2" cannot be handled as a Namespace: no kind "Namespace" is registered for version '
            '"v2" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (b"null", 'Namespace "" is invalid: metadata.name: Required value: name or generateName is required'),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}])
def test_a_create_says_what_it_was_given(in_cluster, headers, body, message):  # type: ignore[no-untyped-def]
    async def scenario(plane):  # type: ignore[no-untyped-def]
        _, _, answer = await plane.client.raw("POST", NAMESPACES, headers=headers, body=body)
        assert orjson.loads(answer)["message"] == message

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"x", "couldn't get version/kind; json parse error: invalid character 'x' looking for beginning of value"),
        (b"null", 'namespaces "none" not found'),
    ],
)
def test_a_delete_says_what_it_was_given(in_cluster, body, message):  # type: ignore[no-untyped-def]
    async def scenario(plane):  # type: ignore[no-untyped-def]
        headers = {"content-type": "application/json"}
        _, _, answer = await plane.client.raw("DELETE", f"{NAMESPACES}/none", headers=headers, body=body)
        assert orjson.loads(answer)["message"] == message

    in_cluster(scenario)


def test_looking_for_the_words_has_an_end() -> None:
    assert json_error(b"[" * 3_000_000) == "exceeded max depth"
    assert json_error(b"[" + b"1," * 500_000) == ""
