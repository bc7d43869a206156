"""Whatever is written, it compiles or is refused; whatever it does, it ends."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api.cel.errors import CelError, CompileError, CostExceeded
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.program import compile
from kajitori.api.cel.types import DYN, INT, STRING, list_of
from kajitori.api.cel.values import plain

ENVIRONMENT = kubernetes_environment({"self": DYN, "ints": list_of(INT), "text": STRING})
VARIABLES = {"self": {"a": 1, "b": [1, "x", None], "c": {"d": 1.5}}, "ints": list(range(100)), "text": "x" * 5000}
# Of this process alone, whatever else the machine does; a hundredth is needed.
CPU_SECONDS_MAX = 20.0

WORDS = st.sampled_from(
    """self ints text . .? [ ] ( ) { } , : ? ! - + * / % < <= > >= == != in && || 1 0 -9223372036854775808 1.5 2u 'a'
    b'x' true null has(self.a) map(x,x) all(x,true) filter(i,i>1) exists_one optMap(y,y) size() matches('a+')
    format(['a']) split('') quantity('1') url('/a') ip('::1') timestamp('2020-01-01T00:00:00Z') duration('1s')
    Object{a:1} .b .a .c.d [0] [?0] orValue(1) sort() sum() replace('','x') string(1) type(1) dyn(1)""".split()  # noqa: SIM905
)
TEXTS = st.one_of(
    st.text(max_size=60), st.lists(WORDS, max_size=25).map("".join), st.lists(WORDS, max_size=25).map(" ".join)
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(TEXTS)
def test_any_text_compiles_or_is_refused_and_evaluates_or_fails(source: str) -> None:
    try:
        program = compile(source, ENVIRONMENT)
    except CompileError as error:
        assert str(error)
        return
    result = program.run(VARIABLES)
    if result.error is None:
        plain(result.value)
    assert result.cost <= 1_000_000 or result.error is not None


@pytest.mark.parametrize(
    "source",
    [
        "(" * 100_000,
        "(" * 10_000 + "1" + ")" * 10_000,
        "[" * 10_000,
        "1" + "+1" * 10_000,
        "self" + ".a" * 10_000,
        "self" + "[0]" * 10_000,
        "true" + " ? true : true" * 10_000,
        "{1:" * 10_000,
        "a(" * 10_000,
        "9" * 50_000,
        "'" + "\\u0061" * 5000,
        "'" + "a" * 99_999,
        "x" * 200_000,
        "self.map(x, " * 500 + "x" + ")" * 500,
    ],
    ids=lambda source: source[:12],
)
def test_what_is_too_long_or_too_deep_is_refused_soon(source: str) -> None:
    begun = time.process_time()
    with pytest.raises(CompileError):
        compile(source, ENVIRONMENT)
    assert time.process_time() - begun < CPU_SECONDS_MAX


DOUBLED = "optional.of([1])" + ".optMap(x, x + x)" * 60 + ".value().size()"


@pytest.mark.parametrize(
    "source",
    [
        "ints.all(a, ints.all(b, ints.all(c, ints.all(d, a + b + c + d >= 0))))",
        "ints.map(a, ints.map(b, ints.map(c, ints.map(d, a))))",
        DOUBLED,
        "optional.of('aaaa')" + ".optMap(x, x + x)" * 60 + ".value().size()",
        "lists.range(9223372036854775807).size()",
        "optional.of(text)" + ".optMap(x, x.replace('', x))" * 5 + ".value()",
        "optional.of(['a'])" + ".optMap(x, [x.join(','), x.join(',')])" * 60 + ".value()",
        "ints.map(a, text).join(text.replace('', text)).size() > 0",
    ],
    ids=lambda source: source[:30],
)
def test_what_grows_without_end_is_ended(source: str) -> None:
    program = compile(source, ENVIRONMENT)
    begun = time.process_time()
    assert isinstance(program.run(VARIABLES).error, CostExceeded)
    assert time.process_time() - begun < CPU_SECONDS_MAX


def test_comparing_what_is_nested_without_end_is_ended() -> None:
    nested = "optional.of(dyn([{0}]))" + ".optMap(x, dyn([x, x]))" * 60 + ".value()"
    program = compile(f"{nested.format(1)} == {nested.format(1.0)}", ENVIRONMENT)
    assert isinstance(program.run(VARIABLES).error, CostExceeded)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|aa)+$", "(x+x+)+y", "(.*)(.*)(.*)(.*)(.*)[0-9]"])
def test_patterns_take_linear_time(pattern: str) -> None:
    program = compile(f"text.matches('{pattern}') || text.find('{pattern}') == ''", ENVIRONMENT)
    begun = time.process_time()
    program.run({"text": "x" * 100_000})
    assert time.process_time() - begun < CPU_SECONDS_MAX


def test_a_pattern_that_would_need_too_much_memory_is_refused() -> None:
    with pytest.raises(CelError):
        compile("text.matches('((a{100}){100}){100}')", ENVIRONMENT)
    program = compile("text.matches(self)", ENVIRONMENT)
    assert program.run({"text": "a", "self": "((a{100}){100}){100}"}).error is not None


@pytest.mark.parametrize("huge", [2**70, -(2**70), 1e400, float("nan")])
def test_numbers_that_are_no_numbers_of_the_language_do_no_harm(huge: float) -> None:
    for source in ("self + 1", "int(self) == 1", "string(self)", "self == self", "[self].sum()", "'%d'.format([self])"):
        result = compile(source, ENVIRONMENT).run({"self": huge})
        assert result.cost > 0
