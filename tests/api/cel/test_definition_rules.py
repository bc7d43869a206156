"""Which rules a definition may have: those that compile, can be afforded, and use `oldSelf` where it is known."""

import pytest

from kajitori.api.cel.definition_rules import rule_errors
from kajitori.api.meta import Object
from kajitori.api.validation.custom_resources import validate_definition, validate_definition_update

PATH = "spec.validation.openAPIV3Schema"


def errors(spec: Object) -> list[str]:
    schema = {"type": "object", "properties": {"spec": spec}}
    return [str(error) for error in rule_errors(schema, PATH)]


def with_rule(schema: Object, *texts: str, **more: object) -> Object:
    return {**schema, "x-kubernetes-validations": [{"rule": text, **more} for text in texts]}


SPEC: Object = {"type": "object", "properties": {"x": {"type": "integer"}, "text": {"type": "string"}}}
AT = f"{PATH}.properties[spec].x-kubernetes-validations[0]"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("self.z == 100", "compilation failed: ERROR: <input>:1:5: undefined field 'z'\n | self.z == 100\n | ....^"),
        ("self = 42", "compilation failed: ERROR: <input>:1:6: Syntax error: token recognition error at: '= '"),
        ("self.x", "cel expression must evaluate to a bool"),
        ("self.x == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
    ],
)
def test_a_rule_must_compile(rule: str, message: str) -> None:
    (found,) = rule_errors({"type": "object", "properties": {"spec": with_rule(SPEC, rule)}}, PATH)
    assert found.field == f"{AT}.rule"
    assert found.reason == "FieldValueInvalid"
    assert message in found.message
    assert found.message.startswith('Invalid value: {"Rule":')


def test_a_message_expression_must_be_a_string() -> None:
    assert (
        "messageExpression must evaluate to a string"
        in errors(with_rule(SPEC, "self.x > 0", messageExpression="self.x"))[0]
    )
    (found,) = errors(with_rule(SPEC, "self.x > 0", messageExpression="self.q"))
    assert found.startswith(f"{AT}.messageExpression") and "messageExpression compilation failed: ERROR" in found


def test_what_can_be_afforded_is_accepted() -> None:
    numbers: Object = {"type": "array", "maxItems": 1000, "items": {"type": "integer"}}
    large = {**numbers, "maxItems": 725}
    spec: Object = {
        "type": "object",
        "properties": {**SPEC["properties"], "y": {"type": "integer"}, "a": numbers, "b": numbers, "large": large},
    }
    given = with_rule(
        spec,
        "self.x + self.y > 0",
        "self.a.isSorted() && self.b.isSorted() && ((self.a.sum() + self.b.sum()) % 2 == 0)",
        "self.large.all(x, self.large.all(y, y == x))",
    )
    assert errors(given) == []


def test_what_cannot_be_afforded_is_refused() -> None:
    inner = with_rule({"type": "array", "items": {"type": "string"}}, "self.all(s, s == 'string constant')")
    found = errors({"type": "object", "properties": {"x": {"type": "array", "items": inner}}})
    path = f"{PATH}.properties[spec].properties[x].items.x-kubernetes-validations[0].rule"
    assert found[0].startswith(f"{path}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x")
    assert found[1] == (
        f"{path}: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    )
    assert found[2].startswith(f"{PATH}: Forbidden: x-kubernetes-validations estimated rule cost total for entire")


def test_old_values_are_not_known_in_lists() -> None:
    items = with_rule({"type": "integer"}, "self == oldSelf")
    spec: Object = {"type": "object", "properties": {"list": {"type": "array", "items": items}}}
    (found,) = errors(spec)
    within = f"{PATH}.properties[spec].properties[list]"
    assert found == (
        f'{within}.items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be used on '
        f"the uncorrelatable portion of the schema within {within}"
    )


def test_an_optional_old_value_must_be_used() -> None:
    (found,) = errors(with_rule(SPEC, "self.x > 0", optionalOldSelf=True))
    assert found == f"{AT}.optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"


def definition(spec: Object) -> Object:
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "conversion": {"strategy": "None"},
            "versions": [version],
        },
        "status": {"storedVersions": ["v1"]},
    }


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"rule": " "}, f"{AT}.rule: Required value: rule is not specified"),
        ({"rule": "true", "message": " "}, f'{AT}.message: Invalid value: " ": must be non-empty if specified'),
        ({"rule": "true", "message": "a\nb"}, f'{AT}.message: Invalid value: "a\\nb": must not contain line breaks'),
        (
            {"rule": "true ||\n true"},
            f"{AT}.message: Required value: message must be specified if rule contains line breaks",
        ),
        ({"rule": "true", "fieldPath": ".nope"}, f'{AT}.fieldPath: Invalid value: ".nope": must be a valid path'),
        ({"rule": "self.z > 1"}, f"{AT}.rule: Invalid value"),
    ],
)
def test_a_definition_is_refused_for_its_rules(rule: Object, message: str) -> None:
    found = [str(error) for error in validate_definition(definition({**SPEC, "x-kubernetes-validations": [rule]}))]
    assert found[0].startswith(message)


def test_a_definition_with_a_good_rule_is_accepted() -> None:
    assert validate_definition(definition(with_rule(SPEC, "self.x > 0"))) == []


def test_a_schema_that_stays_is_not_judged_again() -> None:
    broken = {**SPEC, "x-kubernetes-validations": [{"rule": "self.absent"}]}
    stored = definition(broken)
    assert validate_definition(stored)
    assert not validate_definition_update(definition(broken), stored)
    changed = {**broken, "description": "another"}
    assert validate_definition_update(definition(changed), stored)


def test_a_rule_may_stand_twice_as_in_the_definition_of_httproutes() -> None:
    schema = {"type": "object", "properties": {"spec": with_rule(SPEC, "self.x > 0", "self.x > 0")}}
    names = {"plural": "ws", "singular": "w", "kind": "W", "listKind": "WList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]}
    definition = {
        "metadata": {"name": "ws.example.com"},
        "spec": {**spec, "conversion": {"strategy": "None"}},
        "status": {"storedVersions": ["v1"]},
    }
    assert validate_definition(definition) == []


def test_parts_of_a_string_are_taken_for_no_longer_than_the_whole() -> None:
    text = {"type": "string", "maxLength": 20}
    assert errors(with_rule(text, "!self.split('.').exists(x, x.matches('^0[0-9]+$'))")) == []
