from typing import Any

import pytest

from kajitori.api.errors import BadRequest
from kajitori.api.field_errors import required
from kajitori.api.resource import Resource
from kajitori.api.schema import conform, strict_error, strict_messages
from kajitori.api.schema.ratcheting import ratcheted
from kajitori.api.schema.structural import compile_schema, default, drop_nulls, prune
from kajitori.api.schema.structural_validation import validate

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "maximum": 9},
                "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
                "name": {"type": "string", "maxLength": 3, "minLength": 1, "pattern": "^x"},
                "port": {"x-kubernetes-int-or-string": True},
                "when": {"type": "string", "format": "date-time", "nullable": True},
                "free": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}},
                },
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "pod": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"spec": {"type": "object"}},
                },
                "items": {
                    "type": "array",
                    "maxItems": 2,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "level": {"type": "integer", "default": 3}},
                    },
                },
            },
        },
    },
}
WIDGET = Resource(group="g.example", version="v1", kind="Widget", plural="widgets", schema=SCHEMA)


def messages(spec: Any) -> list[str]:
    return [str(error) for error in validate(SCHEMA, {"spec": spec})]


def test_prune_reports_and_removes_what_is_not_specified() -> None:
    obj: dict[str, Any] = {
        "apiVersion": "g.example/v1",
        "kind": "Widget",
        "metadata": {"name": "w", "bogus": 1},
        "extra": 1,
        "spec": {
            "size": 1,
            "other": {},
            "free": {"any": {"thing": 1}, "known": {"a": "x", "b": 1}},
            "env": {"A": "1"},
            "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}, "status": {}},
            "items": [{"name": "n", "no": 1}],
        },
    }
    assert conform(WIDGET, obj) == [
        "metadata.bogus",
        "extra",
        "spec.free.known.b",
        "spec.items[0].no",
        "spec.other",
        "spec.pod.status",
    ]
    assert obj["spec"]["free"] == {"any": {"thing": 1}, "known": {"a": "x"}}
    assert prune(SCHEMA, obj) == []
    assert strict_error(WIDGET, strict_messages(["spec.other"], [])).message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.other"'
    )


def test_any_key_beside_known_ones_but_nothing_inside() -> None:
    spec = {"type": "object", "properties": {"known": {"type": "string"}}, "additionalProperties": True}
    obj = {"spec": {"known": "x", "other": 1, "deep": {"a": {"b": 1}}}}
    assert prune({"type": "object", "properties": {"spec": spec}}, obj) == ["spec.deep.a"]
    assert obj == {"spec": {"known": "x", "other": 1, "deep": {}}}


def test_metadata_of_the_wrong_type() -> None:
    with pytest.raises(BadRequest):
        conform(WIDGET, {"metadata": {"labels": {"a": 1}}})


def test_defaults() -> None:
    obj = {"spec": {"size": 1, "mode": None, "name": None, "when": None, "items": [{"name": "a"}]}}
    default(SCHEMA, obj)
    assert obj == {"spec": {"size": 1, "mode": "a", "name": None, "when": None, "items": [{"name": "a", "level": 3}]}}


def test_a_null_that_is_not_allowed_counts_as_absent_where_a_document_is_decoded() -> None:
    obj = {"spec": {"size": 1, "mode": None, "name": None, "when": None, "env": {"a": None}, "items": [{"name": None}]}}
    drop_nulls(SCHEMA, obj)
    assert obj == {"spec": {"size": 1, "mode": None, "when": None, "env": {}, "items": [{}]}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"size": 1, "port": "http", "when": None}, []),
        ({}, ["spec.size: Required value"]),
        (
            {"size": "x"},
            ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"'],
        ),
        ({"size": 0}, ["spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"]),
        ({"size": 10}, ["spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9"]),
        ({"size": 1, "mode": "c"}, ['spec.mode: Unsupported value: "c": supported values: "a", "b"']),
        ({"size": 1, "name": "xxxx"}, ["spec.name: Too long: may not be more than 3 bytes"]),
        (
            {"size": 1, "name": ""},
            ['spec.name: Invalid value: "": spec.name in body should be at least 1 chars long'],
        ),
        (
            {"size": 1, "port": True},
            ['spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'],
        ),
        (
            {"size": 1, "when": "now"},
            ['spec.when: Invalid value: "now": spec.when in body must be of type date-time: "now"'],
        ),
        (
            {"size": 1, "items": [{"name": "a"}, {"name": "b"}, {"name": "a"}]},
            [
                "spec.items: Too many: 3: must have at most 2 items",
                'spec.items[2]: Duplicate value: {"name":"a"}',
            ],
        ),
    ],
)
def test_validation(spec: dict[str, Any], expected: list[str]) -> None:
    assert messages(spec) == expected


def test_a_pattern_that_python_cannot_read_refuses_nothing() -> None:
    assert not validate({"properties": {"s": {"type": "string", "pattern": r"\pL+"}}}, {"s": "x"})


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "integer", "format": "int32"}, True, ['"": s in body must be of type int32: ""']),
        ({"type": "string", "format": "date"}, 1, ['"int64": s in body must be of type date: "int64"']),
        ({"type": "string", "format": "unknown"}, 1, ['"integer": s in body must be of type string: "integer"']),
        ({"type": "string", "enum": ["b", "a"]}, 1, ['"integer": s in body must be of type string: "integer"', "1: "]),
        ({"type": "integer"}, 1.5, [
            '"number": s in body must be of type integer: "number"',
            '"": Checked value must be of type integer (default format) in s',
        ]),
        ({"type": "integer", "format": "int32"}, 1 << 31, [
            '"": Checked value must be of type integer with format int32 in s'
        ]),
        ({"type": "number", "minimum": 1.5}, 1, []),
        ({"type": "number", "multipleOf": 0.5}, 1, ["0: factor MultipleOf declared for s must be positive: 0"]),
        ({"type": "integer", "multipleOf": 2, "maximum": 5}, 7, [
            "7: s in body should be a multiple of 2", "7: s in body should be less than or equal to 5"
        ]),
    ],
)  # fmt: skip
def test_numbers_and_types(schema: dict[str, Any], value: Any, expected: list[str]) -> None:
    found = [str(error).partition(" value: ")[2] for error in validate({"properties": {"s": schema}}, {"s": value})]
    assert len(found) == len(expected), found
    assert all(text.startswith(beginning) for text, beginning in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("form", "right", "wrong"),
    [
        ("hostname", ["a", "a.bc", "1-a", "eA=="], ["1.2.3.4", "Aa-b", "2026-01-01", "a..b", "x" * 70]),
        ("byte", ["eA=="], ["", "e"]),
        ("k8s-short-name", ["a-b"], ["a.b", "A", ""]),
        ("k8s-long-name", ["a.b-c"], ["a..b", "A", ""]),
        ("isbn", ["0321751043", "978-0321751041"], ["0321751044", "x"]),
        ("creditcard", ["4111 1111 1111 1111"], ["4111 1111 1111 1112", ""]),
        ("hexcolor", ["#FFF", "a1b2c3"], ["#FFFF"]),
        ("ssn", ["111-22 3333"], ["1"]),
        ("bsonobjectid", ["0" * 24], ["0"]),
        ("unknown", ["x"], []),
    ],
)
def test_formats_of_texts(form: str, right: list[str], wrong: list[str]) -> None:
    schema = {"properties": {"s": {"type": "string", "format": form}}}
    assert [text for text in right if validate(schema, {"s": text})] == []
    assert [text for text in wrong if not validate(schema, {"s": text})] == []


def test_junctors() -> None:
    one = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object"}
    assert not validate({"properties": {"s": one}}, {"s": {"a": 1}})
    both = validate({"properties": {"s": one}}, {"s": {"a": 1, "b": 1}})
    assert (
        str(both[0])
        == '<nil>: Invalid value: "": "s" must validate one and only one schema (oneOf). Found 2 valid alternatives'
    )
    none = [str(error) for error in validate({"properties": {"s": one}}, {"s": {}})]
    assert none[0].endswith('"s" must validate one and only one schema (oneOf). Found none valid')
    assert none[1] == "s.a: Required value"
    every = {"type": "string", "allOf": [{"minLength": 3}, {"pattern": "a"}]}
    assert str(validate({"properties": {"s": every}}, {"s": "a"})[-1]).endswith(
        '"s" must validate all the schemas (allOf)'
    )
    assert validate({"properties": {"s": {"not": {"type": "string"}}}}, {"s": "x"})
    assert validate({"properties": {"s": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}}, {"s": []})


def test_compiled_schema_knows_lists_by_key() -> None:
    node = compile_schema(SCHEMA)
    items = node.fields["spec"].node.fields["items"].node
    assert items.list_keys == ("name",) and not items.atomic
    assert node.fields["metadata"].node.fields["labels"].node.kind == "map"


def test_the_order_of_a_list_by_key_is_no_change_that_makes_old_errors_count() -> None:
    item = {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string"}}}
    by_key = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    schema = {"type": "object", "properties": {"l": by_key, "a": {"type": "array", "items": item}}}
    a, b = {"k": "a"}, {"k": "b", "v": "x"}
    missing = [required("must")]
    assert ratcheted(missing, schema, {"l": [b, a]}, {"l": [a, b]}) == []
    assert ratcheted(missing, schema, {"l": [b, {**a, "v": "y"}]}, {"l": [a, b]}) == missing
    assert ratcheted(missing, schema, {"l": [b, b]}, {"l": [a, b]}) == missing
    assert ratcheted(missing, schema, {"a": [b, a]}, {"a": [a, b]}) == missing
