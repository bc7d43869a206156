"""The same expressions in the C++ implementation of CEL, which is a development dependency for this test."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.program import compile
from kajitori.api.cel.types import BOOL, INT, STRING, list_of

cel = pytest.importorskip("cel_expr_python.cel")

NUMBERS = ["i", "j", "0", "1", "7", "-3", "9223372036854775807", "size(s)", "size(l)"]
TRUTHS = ["true", "false", "b"]
TEXTS = ["s", "'a'", "''", "'a1b'", "'\\u00e9'"]
VARIABLES = {"i": 5, "j": -2, "b": True, "s": "abc", "l": [1, 2, 3]}


def _numbers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(inner, st.sampled_from("+-*/%"), inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})")


numbers = st.recursive(st.sampled_from(NUMBERS), _numbers, max_leaves=5)
texts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(" + ".join)
comparisons = st.one_of(
    st.tuples(numbers, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), numbers).map(" ".join),
    st.tuples(texts, st.sampled_from(["<", "==", "!=", ">="]), texts).map(" ".join),
    st.tuples(numbers, texts).map(lambda parts: f"string({parts[0]}) == {parts[1]}"),
    st.tuples(texts, texts).map(lambda parts: f"({parts[0]}).contains({parts[1]})"),
    numbers.map(lambda number: f"{number} in l"),
    numbers.map(lambda number: f"l.all(x, x > {number})"),
    numbers.map(lambda number: f"l.exists(x, x / {number} == 1)"),
    numbers.map(lambda number: f"l.map(x, x + {number}).filter(x, x % 2 == 0).size() == 1"),
    st.sampled_from(TRUTHS),
)
truths = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})"),
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"(({parts[0]}) ? ({parts[1]}) : ({parts[2]}))"),
    ),
    max_leaves=6,
)

OURS = kubernetes_environment({"i": INT, "j": INT, "b": BOOL, "s": STRING, "l": list_of(INT)})
THEIRS = cel.NewEnv(
    variables={
        "i": cel.Type.INT,
        "j": cel.Type.INT,
        "b": cel.Type.BOOL,
        "s": cel.Type.STRING,
        "l": cel.Type.List(cel.Type.INT),
    }
)


def _theirs(source: str) -> Any:
    try:
        result = THEIRS.compile(source).eval(data=VARIABLES)
    except RuntimeError:
        return "failed"
    return "failed" if result.type().name() == "ERROR" else result.value()


@settings(max_examples=120, deadline=None, derandomize=True)
@given(truths)
def test_conditions_have_the_same_value(source: str) -> None:
    result = compile(source, OURS).run(VARIABLES)
    assert ("failed" if result.error else result.value) == _theirs(source)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(numbers)
def test_numbers_have_the_same_value(source: str) -> None:
    result = compile(source, OURS).run(VARIABLES)
    assert ("failed" if result.error else result.value) == _theirs(source)
