"""What is wrong with custom objects beside their schema: scale paths, whole objects inside, the status alone."""

from typing import Any

import pytest

from kajitori.api.go_text import go_text
from kajitori.api.resource import ScalePaths
from kajitori.api.schema import structural
from kajitori.api.schema.embedded import coerce
from kajitori.apiserver.special.custom_validation import CustomValidation

SCALE = ScalePaths(spec_replicas="spec.size.now", status_replicas="status.size", selector="status.selector")
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TEMPLATE = {**ANYTHING, "x-kubernetes-embedded-resource": True}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({}, []),
        ({"spec": None}, []),
        ({"spec": {"size": {"now": 3}}, "status": {"size": 0, "selector": "a=b"}}, []),
        (
            {"spec": {"size": [1, None]}},
            [".spec.size.now accessor error: [1 <nil>] is of the type []interface {}, expected map[string]interface{}"],
        ),
        ({"spec": {"size": {"now": "x"}}}, [".spec.size.now accessor error: x is of the type string, expected int64"]),
        ({"spec": {"size": {"now": -1}}}, ["should be a non-negative integer"]),
        ({"status": {"size": 2**31}}, ["should be less than or equal to 2147483647"]),
        (
            {"status": {"selector": {}}},
            [".status.selector accessor error: map[] is of the type map[string]interface {}, expected string"],
        ),
    ],
)
def test_what_scale_shows_is_there_in_its_type(obj: dict[str, Any], expected: list[str]) -> None:
    assert [error.detail for error in CustomValidation(ANYTHING, SCALE).validate(obj)] == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (2.5e10, "2.5e+10"),
        (123456.0, "123456"),
        (1e6, "1e+06"),
        (-0.5, "-0.5"),
        (1e-5, "1e-05"),
        (0.0, "0"),
    ],
)
def test_numbers_as_go_prints_them(value: float, text: str) -> None:
    assert go_text(value) == text


def test_objects_inside_say_what_they_are_and_have_metadata() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "array", "items": TEMPLATE}}}
    obj = {"spec": [{"kind": "Pod_", "metadata": {"labels": {"a b": "c"}, "unknown": 1, "creationTimestamp": None}}]}
    met: list[Any] = []
    assert structural.prune(schema, obj, met) == []
    assert len(met) == 1
    assert coerce(schema, obj) == ["spec[0].metadata.unknown"]
    assert obj["spec"][0]["metadata"] == {"labels": {"a b": "c"}}
    found = [error.field for error in CustomValidation(schema).validate(obj)]
    assert found == ["spec[0].apiVersion", "spec[0].kind", "spec[0].metadata.labels"]
    with pytest.raises(ValueError, match=r"spec\[0\].kind: Invalid value: 3: must be a string"):
        coerce(schema, {"spec": [{"kind": 3}]})


def test_a_change_of_the_status_is_judged_by_the_statuss_schema_alone() -> None:
    text = {"type": "object", "properties": {"a": {"type": "string"}}}
    validation = CustomValidation({"type": "object", "properties": {"spec": text, "status": text}})
    old = {"spec": {"a": 1}}
    (error,) = validation.revalidate_status({**old, "status": {"a": 1}}, old)
    assert str(error) == 'status.a: Invalid value: "integer": a in body must be of type string: "integer"'
    assert validation.revalidate_status({**old, "status": {"a": 1}}, {**old, "status": {"a": 1}}) == []


def test_a_list_that_had_repetitions_may_keep_having_them() -> None:
    items = {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
    validation = CustomValidation({"type": "object", "properties": {"a": items}})
    assert len(validation.validate({"a": ["x", "x"]})) == 1
    assert len(validation.revalidate({"a": ["x", "x"]}, {"a": ["x"]})) == 1
    assert validation.revalidate({"a": ["x", "x", "x"]}, {"a": ["x", "x"]}) == []


def test_the_schema_speaks_of_the_name_too() -> None:
    name = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 2}}}
    validation = CustomValidation({"type": "object", "properties": {"metadata": name}})
    assert [error.field for error in validation.validate({"metadata": {"name": "abc"}})] == ["metadata.name"]


def test_repetitions_are_told_once_and_items_of_maps_are_objects() -> None:
    keyed = {"type": "array", "items": ANYTHING, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    validation = CustomValidation({"type": "object", "properties": {"a": keyed}})
    assert [error.field for error in validation.validate({"a": [{"k": 1}, {"k": 1}, {"k": 1}]})] == ["a[1]"]
    messages = [error.detail for error in validation.validate({"a": [{"k": 1}, 3]})]
    assert messages[-1] == "must be an object for an array of list-type map"


def test_an_enumeration_without_null_refuses_it_where_null_is_a_type() -> None:
    text = {"type": "string", "nullable": True, "enum": ["a"]}
    validation = CustomValidation({"type": "object", "properties": {"a": text}})
    assert [str(error) for error in validation.validate({"a": None})] == [
        'a: Unsupported value: null: supported values: "a"'
    ]


def test_large_numbers_with_an_exponent_are_no_integers() -> None:
    validation = CustomValidation({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert validation.validate({"a": 1e15}) == []
    assert len(validation.validate({"a": 1e30})) > 0


def test_of_alternatives_the_one_with_most_checks_says_what_is_wrong() -> None:
    text = {"type": "string", "anyOf": [{"pattern": "^a"}, {"format": "date"}]}
    _, nearest = CustomValidation({"type": "object", "properties": {"a": text}}).validate({"a": "x"})
    assert nearest.detail == 'a in body must be of type date: "x"'


def test_repetitions_below_keys_of_maps_are_told_as_upstream_writes_keys() -> None:
    values = {"type": "array", "items": {"type": "integer"}, "x-kubernetes-list-type": "set"}
    spec = {"type": "object", "additionalProperties": values}
    validation = CustomValidation({"type": "object", "properties": {"spec": spec}})
    assert [error.field for error in validation.validate({"spec": {"k": [1, 1]}})] == ["spec[k][1]"]
