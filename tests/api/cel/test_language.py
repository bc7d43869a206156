"""The language itself: operators, selections, macros, errors, and what an evaluation may cost."""

from collections.abc import Callable
from typing import Any

import pytest

from kajitori.api.cel.environment import Environment
from kajitori.api.cel.errors import CompileError, CostExceeded, EvaluationError
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.program import Result, compile
from kajitori.api.cel.types import DYN
from kajitori.api.cel.values import Duration, Optional, Timestamp, UInt

Evaluate = Callable[[str], Any]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7u / 2u", UInt(3)),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", [1, 2]),
        ("1 < 2.5 && 2u >= 2", True),
        ("dyn(1) == 1.0 && dyn(1u) == 1", True),
        ("dyn(1) == 'a' || dyn(true) == 1", False),
        ("true ? 1 : 2", 1),
        ("self.a + 1", 2),
        ("self.list[3]", "x"),
        ("self['map'].k", "v"),
        ("has(self.map.k) && !has(self.map.z)", True),
        ("'k' in self.map && 1 in self.list && !('z' in self.list)", True),
        ("self.missing == 1 || true", True),
        ("true || self.missing == 1", True),
        ("self.missing == 1 && false", False),
        ("[1, 2, 3].all(x, x > 0)", True),
        ("[1, 2, 3].exists(x, x == 2)", True),
        ("[1, 2, 3].exists_one(x, x > 2)", True),
        ("[1, 2, 3].map(x, x * 2)", [2, 4, 6]),
        ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
        ("[1, 2, 3].filter(x, x > 1)", [2, 3]),
        ("self.map.all(k, v, k == 'k' && v == 'v')", True),
        ("[5, 6].exists(i, v, i == 1 && v == 6)", True),
        ("[1, 2].transformList(i, v, i + v)", [1, 3]),
        ("{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v + 1)", {"b": 3}),
        ("{'a': 'x'}.transformMapEntry(k, v, {v: k})", {"x": "a"}),
        ("[1, 2].map(x, [3].map(x, x + 1)[0] + x)", [5, 6]),
        ("self.?a.orValue(5)", 1),
        ("self.?b.?c.orValue(5)", 5),
        ("[1][?3].hasValue()", False),
        ("maybe.or(optional.of(2)).value()", 2),
        ("optional.of(1).optMap(x, x + 1)", Optional(2)),
        ("{?'a': optional.none(), ?'b': optional.of(2)}", {"b": 2}),
        ("[?optional.none(), 1]", [1]),
        ("type(self) == map && type(1) == int && type('') == string", True),
        ("9u", UInt(9)),
        ("b'\\xff'", b"\xff"),
        ("r'\\d' == '\\\\d'", True),
        ("'\\u00e9'.size()", 1),
        ("duration('1h30m')", Duration(5400 * 10**9)),
        ("timestamp('1970-01-01T00:00:01.5Z')", Timestamp(1_500_000_000)),
        ("timestamp('2024-02-29T23:00:00Z').getDate('+02:00')", 1),
        ("timestamp('2024-02-29T00:00:00Z') + duration('24h') == timestamp('2024-03-01T00:00:00Z')", True),
        ("string(1.0) + string(1e21) + string(1.5) + string(true)", "11e+211.5true"),
        ("int('12') + int(1.9) + int(3u)", 16),
        ("0x1F", 31),
        ("Object{spec: Object.spec{replicas: 1}}", {"spec": {"replicas": 1}}),
    ],
)
def test_an_expression_has_its_value(value: Evaluate, source: str, expected: object) -> None:
    found = value(source)
    assert found == expected
    assert type(found) is type(expected) or isinstance(found, dict)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("self.missing", "no such key: missing"),
        ("self.list[9]", "index out of bounds: 9"),
        ("1 / 0", "division by zero"),
        ("1 % 0", "modulus by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("-9223372036854775808 - 1", "integer overflow"),
        ("0u - 1u", "unsigned integer overflow"),
        ("self.a + 'x'", "no such overload"),
        ("self.a.b", "no such key: b"),
        ("self.list.b", "unsupported index type 'string' in list"),
        ("maybe.value()", "optional.none() dereference"),
        ("self.list.all(x, x < 10)", "no such overload"),
        ("[2].transformMapEntry(i, v, {'a': v}).b", "no such key: b"),
    ],
)
def test_a_failure_says_what_failed(value: Evaluate, source: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(source)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "self = 42",
            "ERROR: <input>:1:6: Syntax error: token recognition error at: '= '\n | self = 42\n | .....^\n"
            "ERROR: <input>:1:8: Syntax error: extraneous input '42' expecting <EOF>\n | self = 42\n | .......^",
        ),
        ("nobody", "ERROR: <input>:1:1: undeclared reference to 'nobody' (in container '')\n | nobody\n | ^"),
        ("1 == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("text.nothing()", "undeclared reference to 'nothing' (in container '')"),
        ("text.size(1)", "found no matching overload for 'size' applied to 'string.(int)'"),
        ("text.field", "type 'string' does not support field selection"),
        ("ip('::1').field", "type 'net.IP' does not support field selection"),
        ("quantity('1').field", "unexpected failed resolution of 'kubernetes.Quantity'"),
        ("[1, 'a']", "expected type 'int' but found 'string'"),
        ("text.all(x, true)", "expression of type 'string' cannot be range of a comprehension"),
        ("ints.map(1, 2)", "argument is not an identifier"),
        ("ints.all(x, x, true)", "duplicate variable name: x"),
        ("has(self)", "invalid argument to has() macro"),
        ("text.matches('(')", "ERROR: <input>:1:14: invalid matches argument"),
        ("timestamp('x')", "invalid timestamp argument"),
        ("JSONPatch{op: 1}", "expected type of field 'op' is 'string' but provided type is 'int'"),
        ("JSONPatch{what: 1}", "undefined field 'what'"),
        ("9223372036854775808", "invalid int literal"),
        ("(1", "Syntax error: missing ')' at '<EOF>'"),
        ("for", "reserved identifier: for"),
        ("self.", "1:6: Syntax error: no viable alternative at input '.'"),
        ("self. == 1", "1:7: Syntax error: no viable alternative at input '. =='"),
        ("self.?1", "Syntax error: mismatched input '1' expecting {IDENTIFIER, ESC_IDENTIFIER}"),
        ("self.`a-b`", "1:6: unsupported syntax: '`'"),
        ("int(dyn('x'))", "program instantiation failed: type conversion error from 'string' to 'int'"),
        ("", "Syntax error: mismatched input '<EOF>' expecting {'[', '{', '('"),
    ],
)
def test_a_wrong_expression_is_refused_with_place_and_reason(run: Evaluate, source: str, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        run(source)
    assert message in str(caught.value)


def test_an_object_of_an_unknown_type_is_the_only_mistake_in_it(run: Evaluate) -> None:
    with pytest.raises(CompileError) as caught:
        run("Foo{a: Bar{b: missing}}")
    assert [issue.message for issue in caught.value.issues] == ["undeclared reference to 'Foo' (in container '')"]


def test_mistakes_on_a_later_line_are_marked_there(run: Evaluate) -> None:
    with pytest.raises(CompileError) as caught:
        run("text == 'x' &&\n  missing")
    assert str(caught.value).endswith(
        "<input>:2:3: undeclared reference to 'missing' (in container '')\n |   missing\n | ..^"
    )


@pytest.mark.parametrize(
    ("source", "cost"),
    [
        ("true", 0),
        ("self", 1),
        ("self.a", 2),
        ("self.a == 1", 3),
        ("has(self.a)", 1),
        ("[1, 2]", 10),
        ("{'a': 1}", 30),
        ("Object{}", 40),
        ("[1, 2, 3].all(x, true)", 10 + 3 * 3 + 1),
        ("authorizer.group('apps').resource('deployments').check('get').allowed()", 350_004),
    ],
)
def test_a_cost_is_counted_as_upstream_counts(run: Callable[[str], Result], source: str, cost: int) -> None:
    assert run(source).cost == cost


def test_an_evaluation_ends_when_it_costs_too_much(value: Evaluate) -> None:
    with pytest.raises(CostExceeded, match="operation cancelled: actual cost limit exceeded"):
        value("ints.all(a, ints.all(b, a + b >= 0))")


def test_a_limit_may_be_less() -> None:
    program = compile("[1, 2, 3].all(x, x > 0)", kubernetes_environment({}))
    assert program.run({}, limit=5).error is not None
    assert program.run({}, limit=100).value is True


def test_variables_used_are_known() -> None:
    environment: Environment = kubernetes_environment({"self": DYN, "oldSelf": DYN})
    assert compile("self.all(oldSelf, oldSelf > 0)", environment).uses == {"self"}
    assert compile("self.a == oldSelf.a", environment).uses == {"self", "oldSelf"}


def test_variables_that_are_given_stay_as_they_are() -> None:
    given = {"x": 5, "l": [1, 2]}
    program = compile("l.map(x, x + 1) + [x]", kubernetes_environment({"x": DYN, "l": DYN}))
    assert program.evaluate(given) == [2, 3, 5]
    assert given == {"x": 5, "l": [1, 2]}


def test_a_loop_that_fails_leaves_outer_variables_alone() -> None:
    program = compile("l.map(x, x / 0) == [] || x == 5", kubernetes_environment({"x": DYN, "l": DYN}))
    assert program.evaluate({"x": 5, "l": [1]}) is True
