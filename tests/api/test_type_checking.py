from typing import Any

import pytest

from kajitori.api.expressions.type_checking import expression_warnings
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource

RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}


def warnings(*expressions: str, rule: dict[str, Any] = RULE, **spec: Any) -> list[dict[str, str]]:
    registry = Registry()
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"replicas": {"type": "integer"}}}},
    }
    registry.add(Resource(group="a.example", version="v1", kind="Tab", plural="tabs", schema=schema))
    validations = [{"expression": expression} for expression in expressions]
    return expression_warnings(
        {"spec": {"validations": validations, "matchConstraints": {"resourceRules": [rule]}, **spec}}, registry
    )


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.replicas > 1",
        "object.spec.template.spec.containers.all(c, c.image.startsWith('a/') && c.resources.limits['cpu'] == '1')",
        "oldObject == null || oldObject.metadata.labels['a'] == object.metadata.labels['b']",
        "object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')",
        "object.spec.strategy.rollingUpdate.maxSurge == 1",
        "request.userInfo.username == 'a' && authorizer.requestResource.check('x').allowed()",
        "namespaceObject.metadata.name == 'x'",
    ],
)
def test_what_the_schema_knows_is_no_mistake(expression: str) -> None:
    assert warnings(expression) == []


def test_mistakes_name_the_field_the_kind_and_the_place() -> None:
    (first, second) = warnings("object.spec.replicas > '1'", "object.spec.maxRetries < 10")
    assert first["fieldRef"] == "spec.validations[0].expression"
    assert first["warning"] == (
        "apps/v1, Kind=Deployment: "
        "ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n"
        " | object.spec.replicas > '1'\n"
        " | .....................^\n"
    )
    assert second["fieldRef"] == "spec.validations[1].expression"
    assert "undefined field 'maxRetries'" in second["warning"]


def test_message_expressions_and_variables_are_checked_too() -> None:
    message = {"expression": "true", "messageExpression": "'wants more, got ' + object.spec.replicas"}
    (found,) = warnings(validations=[message])
    assert found["fieldRef"] == "spec.validations[0].messageExpression"
    assert "found no matching overload for '_+_' applied to '(string, int)'" in found["warning"]
    variables = [{"name": "n", "expression": "object.spec.replicas"}]
    (found,) = warnings("variables.n == 'x'", "variables.n > 1", variables=variables)
    assert "'(int, string)'" in found["warning"]


def test_custom_kinds_and_parameters_have_types() -> None:
    rule = {**RULE, "apiGroups": ["a.example"], "resources": ["tabs"]}
    (found,) = warnings("object.spec.replicas > '1'", rule=rule)
    assert found["warning"].startswith("a.example/v1, Kind=Tab: ")
    params = {"apiVersion": "a.example/v1", "kind": "Tab"}
    (found,) = warnings("params.spec.nothing == 1", "params.spec.replicas == 1", paramKind=params)
    assert "undefined field 'nothing'" in found["warning"]
    assert warnings("params.anything == 1", paramKind={"apiVersion": "b.example/v1", "kind": "None"}) == []


def test_every_kind_of_a_rule_is_looked_at_but_no_wildcard() -> None:
    both = {**RULE, "resources": ["statefulsets", "deployments", "deployments/scale", "*"]}
    (found,) = warnings("object.foo", rule=both)
    assert [line.partition(":")[0] for line in found["warning"].split("\n") if "Kind=" in line] == [
        "apps/v1, Kind=Deployment",
        "apps/v1, Kind=StatefulSet",
    ]
    assert warnings("object.foo", rule={**RULE, "apiGroups": ["*"]}) == []
