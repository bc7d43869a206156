"""YAML is JSON's data model, and no document brings the process down."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.apiserver.yaml_documents import YamlError, dump_yaml, load_yaml, repeated_keys

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(VALUES)
def test_what_is_written_as_yaml_reads_as_the_same(document: Any) -> None:
    assert same(load_yaml(dump_yaml(document)), document)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(VALUES)
def test_json_is_yaml(document: Any) -> None:
    """Escaped, because YAML knows fewer bare characters, and with the space after a colon that it wants."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    if not any(byte >= 0x7F for byte in text):
        assert same(load_yaml(text), document)


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict) and found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in found)
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, float):
        return isinstance(found, int | float) and math.isclose(found, wanted, rel_tol=1e-15)
    return type(found) is type(wanted) and bool(found == wanted)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=40) | st.text(alphabet="ab01.-:?[]{}&*!|>'\"#%@, \n\t~<=", max_size=30).map(str.encode))
def test_any_bytes_are_read_as_json_data_or_refused(text: bytes) -> None:
    try:
        document = load_yaml(text)
        repeated_keys(text)
    except YamlError as error:
        assert str(error)
        return
    orjson.dumps(document)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"- " * 100_000, b"{a: " * 100_000, b"? " * 100_000, b"[{a: " * 100_000]
)
def test_what_has_no_bottom_is_refused(text: bytes) -> None:
    with pytest.raises(YamlError):
        load_yaml(text)


@pytest.mark.parametrize("item", [b"x", b"'" + b"long" * 1000 + b"'"])
def test_what_grows_by_aliases_is_refused(item: bytes) -> None:
    lines = [b"a0: &a0 [" + b",".join([item] * 10) + b"]"]
    lines += [b"a%d: &a%d [%b]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10)]
    with pytest.raises(YamlError, match="excessive aliasing"):
        load_yaml(b"\n".join(lines))


def test_aliases_and_merges_within_bounds_are_copies() -> None:
    document = load_yaml("a: &a {x: [1], w: 2}\nb: *a\nc: {w: 3, <<: *a}\nd: {<<: [{z: 0, x: 5}, *a]}\n'<<': text\n")
    assert document == {
        "a": {"x": [1], "w": 2}, "b": {"x": [1], "w": 2}, "c": {"w": 3, "x": [1]}, "d": {"z": 0, "x": 5, "w": 2},
        "<<": "text",
    }  # fmt: skip
    document["b"]["x"].append(2)
    document["c"]["x"].append(3)
    assert document["a"]["x"] == [1]


@pytest.mark.parametrize(
    "text", ["&a [*a]", "a: *b", "a: {<<: 1}", "? [a]\n: 1", "? {}\n", "null: 1", "a: .inf", "a: !!int x"]
)
def test_what_json_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(YamlError):
        load_yaml(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
        ("yes", True),
        ("Off", False),
        ("0777", 511),
        ("0o17", 15),
        ("-0x1F", -31),
        ("0b11", 3),
        ("1_000", 1000),
        ("08", "08"),
        ("1e3", 1000),
        ("1e400", "1e400"),
        (".", "."),
        ("-", [None]),
        ("9" * 5000, "9" * 5000),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!float 1", 1),
        ("1.0", 1),
        ("1e19", 1e19),
        ("!!binary aGk=", "hi"),
        ("!foo bar", "bar"),
        ("!!python/object:os.system x", "x"),
        ("{1: a, true: b, 1.5: c}", {"1": "a", "true": "b", "1.5": "c"}),
        ("a: 1\n---\nb: 2", {"a": 1}),
        ("", None),
    ],
)
def test_words(text: str, value: Any) -> None:
    found = load_yaml(text)
    assert found == value and type(found) is type(value)


def test_repeated_keys() -> None:
    assert repeated_keys(b"a: 1\nb: {c: 1, c: 2}\na: 3\n---\na: 1\n") == [
        'line 2: key "c" already set in map',
        'line 3: key "a" already set in map',
    ]
    assert repeated_keys(b'{"a": [{"b": 1}], "b": "x:\\":"}') == []
    assert repeated_keys(b'{"a": 1, "a": 1}') == ['line 1: key "a" already set in map']


def test_what_stands_twice_is_written_twice_and_times_are_quoted_like_all_other_texts():
    same = {"b": "1"}
    assert dump_yaml({"x": same, "z": same}) == b'x:\n  b: "1"\nz:\n  b: "1"\n'
    assert dump_yaml({"t": "2026-11-23T00:00:00Z"}) == b't: "2026-11-23T00:00:00Z"\n'


@pytest.mark.parametrize(("word", "means"), [("y", True), ("Y", True), ("n", False), ("N", False)])
def test_the_shortest_words_for_yes_and_no_are_booleans_too(word, means):
    assert load_yaml(f"a: {word}\n") == {"a": means}
    assert load_yaml(dump_yaml({"a": word})) == {"a": word}


def test_a_repeated_key_is_told_by_where_its_value_begins_and_after_what_is_inside():
    text = b"l:\n  a: 1\nl:\n  a: 1\n  a: 2\n"
    assert repeated_keys(text) == ['line 5: key "a" already set in map', 'line 4: key "l" already set in map']
