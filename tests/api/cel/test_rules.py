"""Rules of custom resources: what they say about an object, what about a change, and where."""

import gc
from typing import Any

import pytest

from kajitori.api.cel.checker import _Checker
from kajitori.api.cel.rules import compile_levels, validate
from kajitori.api.field_errors import FieldError
from kajitori.api.meta import Object


def spec_schema(spec: Object) -> Object:
    return {"type": "object", "properties": {"spec": {"type": "object", **spec}}}


def rules(*texts: str | Object) -> Object:
    return {"x-kubernetes-validations": [{"rule": text} if isinstance(text, str) else text for text in texts]}


def judged(schema: Object, new: Object, old: Object | None = None, **more: Any) -> list[FieldError]:
    level = compile_levels(schema)
    assert level is not None
    return validate(level, new, old, **more)


def messages(schema: Object, new: Object, old: Object | None = None, **more: Any) -> list[str]:
    return [str(error) for error in judged(schema, new, old, **more)]


def of_spec(schema: Object, value: Any, old: Any = None) -> list[str]:
    return messages(spec_schema(schema), {"spec": value}, None if old is None else {"spec": old})


INTEGERS: Object = {"properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}}


def test_a_rule_that_holds_says_nothing() -> None:
    assert of_spec({**INTEGERS, **rules("self.x + self.y > 0")}, {"x": 1, "y": 0}) == []


def test_a_rule_that_fails_names_itself() -> None:
    schema = {**INTEGERS, **rules("self.x + self.y > 0 ")}
    assert of_spec(schema, {"x": 0, "y": 0}) == ["spec: Invalid value: failed rule: self.x + self.y > 0"]


def test_a_scalar_is_shown() -> None:
    schema = {"properties": {"x": {"type": "integer", **rules("self > 5")}}}
    assert of_spec(schema, {"x": 3}) == ["spec.x: Invalid value: 3: failed rule: self > 5"]


def test_what_is_none_of_its_type_is_an_error_of_the_rules_that_read_it() -> None:
    text = {"type": "string", "format": "cidr", "maxLength": 20}
    schema = {"properties": {"c": text}, **rules("has(self.c)", "self.c == 'a'", "true", "size(self.c) > 1")}
    problem = 'spec: Invalid value: "object": invalid data, expected string, got []interface {} evaluating rule: '
    assert of_spec(schema, {"c": [1]}) == [problem + "self.c == 'a'", problem + "size(self.c) > 1"]


def test_every_rule_of_a_value_that_is_none_of_its_type_is_told_but_those_of_a_change() -> None:
    text = {"type": "string", "format": "duration", "maxLength": 20}
    own = rules("self < duration('1h')", "self != oldSelf", "self > duration('1s')")
    problem = 'spec.d: Invalid value: "string": invalid data, expected string, got []interface {} evaluating rule: '
    assert of_spec({"properties": {"d": {**text, **own}}}, {"d": [1]}) == [
        problem + "self < duration('1h')",
        problem + "self > duration('1s')",
    ]


def test_an_absent_field_is_an_error_of_the_rule() -> None:
    assert of_spec({**INTEGERS, **rules("self.x > 0")}, {}) == [
        'spec: Invalid value: "object": no such key: x evaluating rule: self.x > 0'
    ]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"message": " too small "}, "spec: Invalid value: too small"),
        ({"messageExpression": "'x is ' + string(self.x)"}, "spec: Invalid value: x is 0"),
        ({"message": "m", "messageExpression": "'a\\nb'"}, "spec: Invalid value: m"),
        ({"message": "m", "messageExpression": "string(self.y)"}, "spec: Invalid value: m"),
        ({"message": "m", "reason": "FieldValueForbidden"}, "spec: Forbidden: m"),
        ({"message": "m", "reason": "FieldValueRequired", "fieldPath": ".x"}, "spec.x: Required value: m"),
        ({"message": "m", "fieldPath": "['y']"}, "spec.y: Invalid value: m"),
    ],
)
def test_a_failure_may_be_told_otherwise(rule: Object, expected: str) -> None:
    assert of_spec({**INTEGERS, **rules({"rule": "self.x > 0", **rule})}, {"x": 0}) == [expected]


def test_transition_rules_count_only_for_changes() -> None:
    schema = {"properties": {"num": {"type": "integer", **rules("self > oldSelf")}}}
    assert of_spec(schema, {"num": 10}) == []
    assert of_spec(schema, {"num": 11}, {"num": 10}) == []
    assert of_spec(schema, {"num": 9}, {"num": 10}) == ["spec.num: Invalid value: 9: failed rule: self > oldSelf"]
    assert of_spec(schema, {"num": 9}, {}) == []


def test_an_optional_old_value_counts_always() -> None:
    rule = {"rule": "!oldSelf.hasValue() || self == oldSelf.value()", "optionalOldSelf": True}
    schema = {"properties": {"id": {"type": "string", **rules(rule)}}}
    assert of_spec(schema, {"id": "a"}) == []
    assert of_spec(schema, {"id": "a"}, {"id": "a"}) == []
    assert len(of_spec(schema, {"id": "b"}, {"id": "a"})) == 1


def test_items_are_known_again_by_their_keys_only() -> None:
    items = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "n": {"type": "integer", **rules("self >= oldSelf")}},
    }
    plain = {"properties": {"list": {"type": "array", "items": items}}}
    keyed = {
        "properties": {
            "list": {
                "type": "array",
                "items": items,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            }
        }
    }
    new = {"list": [{"name": "b", "n": 1}, {"name": "a", "n": 1}]}
    old = {"list": [{"name": "a", "n": 2}]}
    assert of_spec(plain, new, old) == []
    assert of_spec(keyed, new, old) == ["spec.list[1].n: Invalid value: 1: failed rule: self >= oldSelf"]


def test_rules_reach_maps_and_lists() -> None:
    schema = {
        "properties": {
            "map": {"type": "object", "additionalProperties": {"type": "string", **rules("self != 'no'")}},
            "list": {"type": "array", "items": {"type": "string", **rules("self.size() < 3")}},
        }
    }
    assert of_spec(schema, {"map": {"a.b": "no"}, "list": ["ok", "long"]}) == [
        "spec.map[a.b]: Invalid value: \"no\": failed rule: self != 'no'",
        'spec.list[1]: Invalid value: "long": failed rule: self.size() < 3',
    ]


def test_what_a_change_leaves_as_it_was_is_tolerated() -> None:
    schema = {**INTEGERS, "properties": {"x": {"type": "integer", **rules("self > 5")}, "y": {"type": "integer"}}}
    assert of_spec(schema, {"x": 1, "y": 2}, {"x": 1, "y": 1}) == []
    assert len(of_spec(schema, {"x": 2, "y": 2}, {"x": 1, "y": 2})) == 1
    whole = {**INTEGERS, **rules("self.x > 5")}
    assert len(of_spec(whole, {"x": 1, "y": 2}, {"x": 1, "y": 1})) == 1


def test_the_root_has_its_name_and_kind() -> None:
    schema = {"type": "object", **rules("self.metadata.name.startsWith('a') && self.kind == 'K'")}
    assert messages(schema, {"kind": "K", "apiVersion": "g/v1", "metadata": {"name": "abc"}}) == []
    wrong = {"kind": "K", "apiVersion": "g/v1", "metadata": {"name": "xyz"}}
    assert messages(schema, wrong)[0].startswith("<nil>: Invalid value: failed rule: self.metadata.name")


@pytest.mark.parametrize(
    ("schema", "value", "rule"),
    [
        ({"type": "integer"}, 5, "self.f == 5"),
        ({"type": "number"}, 5, "self.f / 2.0 == 2.5"),
        ({"type": "string", "format": "byte"}, "aGk=", "self.f == b'hi'"),
        ({"type": "string", "format": "date"}, "2024-02-29", "self.f.getDate() == 29"),
        (
            {"type": "string", "format": "date-time"},
            "2024-02-29T01:02:03Z",
            "self.f < timestamp('2025-01-01T00:00:00Z')",
        ),
        ({"type": "string", "format": "duration"}, "1h30m", "self.f == duration('90m')"),
        ({"x-kubernetes-int-or-string": True}, "50%", "type(self.f) == string ? self.f == '50%' : self.f < 5"),
        ({"x-kubernetes-int-or-string": True}, 4, "type(self.f) == string ? self.f == '50%' : self.f < 5"),
        ({"type": "array", "items": {"type": "number"}}, [1, 2], "self.f.sum() == 3.0"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, {"a-b": 1}, "self.f['a-b'] == 1.0"),
        (
            {"type": "object", "properties": {"a.b-c": {"type": "string"}}},
            {"a.b-c": "x"},
            "self.f.a__dot__b__dash__c != ''",
        ),
        (
            {"type": "object", "properties": {"namespace": {"type": "string"}}},
            {"namespace": "x"},
            "self.f.__namespace__ == 'x'",
        ),
        (
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            ["a", "b"],
            "self.f == ['b', 'a'] && self.f + ['a', 'c'] == ['c', 'b', 'a']",
        ),
        (
            {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n"}},
            "self.f.kind == 'Pod' && self.f.metadata.name == 'n'",
        ),
    ],
)
def test_values_have_the_types_of_the_schema(schema: Object, value: Any, rule: str) -> None:
    assert of_spec({"properties": {"f": schema}, **rules(rule)}, {"f": value}) == []


def test_rules_share_a_budget() -> None:
    schema = spec_schema({**INTEGERS, **rules("self.x > 0", "self.y > 0", "self.x > 1")})
    found = messages(schema, {"spec": {"x": 1, "y": 1}}, budget=5)
    assert found == [
        'spec: Invalid value: "object": validation failed due to running out of cost budget, no further validation '
        "rules will be run"
    ]


def test_an_evaluation_that_costs_too_much_ends_them_all() -> None:
    items = {"type": "array", "items": {"type": "integer"}}
    schema = {"properties": {"list": items}, **rules("self.list.all(x, self.list.all(y, y == x))", "self.list[0] == 1")}
    found = of_spec(schema, {"list": [20] * 725})
    assert len(found) == 1
    assert "no further validation rules will be run due to call cost exceeds limit for rule: self.list.all" in found[0]


def test_rules_in_all_of_count() -> None:
    schema = {**INTEGERS, "allOf": [{"properties": {"x": rules("self > 1")}}]}
    assert of_spec(schema, {"x": 0}) == ["spec.x: Invalid value: 0: failed rule: self > 1"]


def test_the_kind_of_an_unchanged_object_is_judged_again() -> None:
    schema = {"type": "object", "properties": {"kind": {"type": "string", **rules("self == 'A'")}}}
    assert len(messages(schema, {"kind": "B"}, {"kind": "B"})) == 1


def test_what_is_compiled_goes_with_its_last_reference() -> None:
    """A definition may have twenty thousand rules: as cyclic garbage they would be kept for minutes."""
    rule = {"rule": "self.l.all(x, x > self.a) && self.s.matches('^a') && {'a': 1}['a'] == 1"}
    spec = {"a": {"type": "integer"}, "s": {"type": "string"}, "l": {"type": "array", "items": {"type": "integer"}}}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": spec, "x-kubernetes-validations": [rule]}},
    }
    gc.collect()
    gc.disable()
    try:
        level = compile_levels(schema)
        assert level is not None
        assert level.properties["spec"].rules[0].program is not None
        del level
        assert not any(isinstance(each, _Checker) for each in gc.get_objects())
    finally:
        gc.enable()
