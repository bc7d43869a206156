"""The functions of the libraries: what they give, and what they refuse."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kajitori.api.cel.errors import CompileError, EvaluationError
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.library.authorizer import AUTHORIZER, Answer, Answers, Authorizer, Query, decided
from kajitori.api.cel.mutation import MUTATION_TYPES, misnamed
from kajitori.api.cel.program import compile
from kajitori.api.cel.values import plain

Evaluate = Callable[[str], Any]


@pytest.mark.parametrize(
    "source",
    [
        "'abc'.charAt(1) == 'b' && 'tacocat'.indexOf('c') == 2 && 'tacocat'.lastIndexOf('c') == 4",
        "'aXb'.lowerAscii() == 'axb' && 'aé'.upperAscii() == 'Aé'",
        "'hello'.replace('l', 'L', 1) == 'heLlo' && 'ab'.replace('', '-') == '-a-b-'",
        "'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'ab'.split('') == ['a', 'b'] && 'a'.split(',', 0) == []",
        "'tacocat'.substring(1, 3) == 'ac' && ' a '.trim() == 'a' && ['x', 'y'].join('-') == 'x-y'",
        "'%s %d %.2f %x %b %o'.format(['a', 1, 1234.5, 255, 5, 8]) == 'a 1 1,234.50 ff 101 10'",
        "'%s'.format([['a', 1.0]]) == '[\"a\", 1.000000]' && '%s'.format([{'k': null}]) == '{\"k\":null}'",
        "strings.quote('a\"b') == '\"a\\\\\"b\"'",
        "[1, 2, 3].isSorted() && ![2, 1].isSorted() && [1.5, 2.5].sum() == 4.0 && ([1] + [2]).max() == 2",
        "['b', 'a'].min() == 'a' && [1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2",
        "[3, 1, 2].sort() == [1, 2, 3] && [{'a': 2}, {'a': 1}].sortBy(e, e.a)[0].a == 1",
        "[[1], [2, 3]].flatten() == [1, 2, 3] && [1, 1].distinct() == [1] && [1, 2].reverse() == [2, 1]",
        "[1, 2, 3].slice(1, 2) == [2] && lists.range(3) == [0, 1, 2] && [1, 2].first().value() == 1",
        "sets.contains([1, 2], [1]) && sets.equivalent([1, 2], [2, 1, 1]) && !sets.intersects([1], [2])",
        "'abc 123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]', 1) == ['1'] && 'a'.find('b') == ''",
        "quantity('1.5Gi').isGreaterThan(quantity('1Gi')) && quantity('1') == quantity('1000m')",
        "quantity('1').add(2).sub(quantity('500m')).asApproximateFloat() == 2.5",
        "quantity('50k').asInteger() == 50000",
        "isQuantity('1Mi') && !isQuantity('x') && sign(quantity('-1')) == -1 && !quantity('0.5').isInteger()",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('v1.2', true).patch() == 0 && !isSemver('1.2')",
        "semver('1.0.0-alpha.1').compareTo(semver('1.0.0')) == -1 && semver('1.0.0+a') == semver('1.0.0')",
        "url('https://u@example.com:80/p?q=1&q=2').getHost() == 'example.com:80'",
        "url('https://[::1]:80/a b').getHostname() == '::1' && url('/a b').getEscapedPath() == '/a%20b'",
        "url('https://a/?q=1&q=2').getQuery() == {'q': ['1', '2']} && isURL('/a') && !isURL('rel')",
        "ip('::1').family() == 6 && ip('127.0.0.1').isLoopback() && ip('10.0.0.1').isGlobalUnicast()",
        "!isIP('::ffff:1.2.3.4') && !isIP('01.2.3.4') && !ip.isCanonical('2001:DB8::1')",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3') && cidr('10.0.0.0/8').containsCIDR(cidr('10.1.0.0/16'))",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && string(cidr('10.1.2.3/8').ip()) == '10.1.2.3'",
        "cidr('10.1.2.3/8').prefixLength() == 8 && isCIDR('::/0') && !isCIDR('10.0.0.0')",
        "format.dns1123Label().validate('A').hasValue() && !format.named('uuid').value().validate("
        "'123e4567-e89b-12d3-a456-426614174000').hasValue() && !format.named('nope').hasValue()",
        "!format.dns1123LabelPrefix().validate('a-').hasValue() && format.date().validate('2024-13-01').hasValue()",
        "duration('1h1s').getSeconds() == 3601 && duration('1s500ms').getMilliseconds() == 1500",
        "timestamp('2024-02-29T12:34:56.789Z').getMilliseconds() == 789",
        "timestamp('2024-01-01T00:00:00Z').getDayOfYear('America/New_York') == 364",
        "authorizer.group('apps').resource('deployments').check('get').reason() == 'by rule'",
        "optional.ofNonZeroValue('').or(optional.of('a')).orValue('b') == 'a'",
        "optional.unwrap([optional.of(1), optional.none()]) == [1]",
    ],
)
def test_what_functions_give(value: Evaluate, source: str) -> None:
    assert value(source) is True


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("'abc'.charAt(9)", "index out of range: 9"),
        ("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1"),
        ("ints.filter(x, false).max()", "max called on empty list"),
        ("[1].slice(0, 2)", "cannot slice(0, 2), list is length 1"),
        ("quantity('x')", "quantities must match the regular expression"),
        ("quantity('1.5').asInteger()", "cannot convert value to integer"),
        ("ip('1.2.3')", 'IP Address "1.2.3" parse error during conversion from string'),
        ("url('rel')", "URL parse error during conversion from string"),
        ("int('x' + '')", "type conversion error from 'string' to 'int'"),
        ("authorizer.group('').resource('').check('get').allowed()", "resource must not be empty"),
        ("'%d'.format(['a'])", "error during formatting: decimal clause can only be used on integers"),
    ],
)
def test_what_functions_refuse(value: Evaluate, source: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(source)
    assert message in str(caught.value)


def test_questions_to_the_authorizer_are_asked_between_evaluations() -> None:
    source = (
        "authorizer.path('/a').check('get').allowed() && "
        "authorizer.serviceAccount('n', 's').path('/b').check('x').errored()"
    )
    program = compile(source, kubernetes_environment({"authorizer": AUTHORIZER}))
    answers: Answers = {}
    asked: list[Query] = []

    async def ask(query: Query) -> Answer:
        asked.append(query)
        return Answer(query.path == "/a", error="unreachable" if query.path == "/b" else "")

    def evaluate() -> Any:
        return program.evaluate({"authorizer": Authorizer(answers)})

    assert asyncio.run(decided(evaluate, answers, ask)) is True
    assert [(query.path, query.verb, query.service_account) for query in asked] == [
        ("/a", "get", None),
        ("/b", "x", ("n", "s")),
    ]


def test_objects_that_policies_construct_know_where_they_belong() -> None:
    environment = kubernetes_environment({}, *MUTATION_TYPES)
    good = compile("Object{spec: Object.spec{list: [Object.spec.list{a: 1}]}}", environment).evaluate({})
    assert list(misnamed(good)) == []
    assert plain(good) == {"spec": {"list": [{"a": 1}]}}
    wrong = compile("Object{spec: Object.status{a: 1}}", environment).evaluate({})
    assert list(misnamed(wrong)) == [
        'unexpected type name "Object.status", expected "Object.spec", which matches field name path from root '
        "Object type"
    ]


def test_the_api_server_is_imported_without_the_language() -> None:
    code = (
        "import sys, kajitori.apiserver.server\n"
        "sys.exit(any(name in sys.modules for name in ('kajitori.api.cel.parser', 're2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("source", ["int('x')", "int(double('1e30'))", "string(b'\\xff')", "duration('soon')"])
def test_constants_that_cannot_be_converted_are_refused_before_anything_is_evaluated(source: str) -> None:
    with pytest.raises(CompileError):
        compile(source, kubernetes_environment({}))


def test_keys_of_patches_are_escaped_only_where_patches_are_made() -> None:
    text = "jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'"
    assert compile(text, kubernetes_environment({}, *MUTATION_TYPES)).evaluate({}) is True
    with pytest.raises(CompileError, match="undeclared reference to 'jsonpatch'"):
        compile(text, kubernetes_environment({}))
