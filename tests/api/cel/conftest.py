"""An environment with a variable of every kind, and one way to evaluate."""

from collections.abc import Callable
from typing import Any

import pytest

from kajitori.api.cel import types
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.library.authorizer import AUTHORIZER, Answer, Authorizer, Query
from kajitori.api.cel.mutation import MUTATION_TYPES
from kajitori.api.cel.program import Result, compile
from kajitori.api.cel.values import NONE

DOCUMENT = {"a": 1, "list": [1, 2, 3.5, "x", None, True], "map": {"k": "v"}}
ENVIRONMENT = kubernetes_environment(
    {
        "self": types.DYN,
        "ints": types.list_of(types.INT),
        "text": types.STRING,
        "maybe": types.optional_of(types.DYN),
        "authorizer": AUTHORIZER,
    },
    *MUTATION_TYPES,
)
ANSWERS = {Query(verb="get", group="apps", resource="deployments"): Answer(True, "by rule")}
VARIABLES = {
    "self": DOCUMENT,
    "ints": list(range(2000)),
    "text": "x",
    "maybe": NONE,
    "authorizer": Authorizer(ANSWERS),
}


@pytest.fixture
def run() -> Callable[[str], Result]:
    return lambda source: compile(source, ENVIRONMENT).run(VARIABLES)


@pytest.fixture
def value(run: Callable[[str], Result]) -> Callable[[str], Any]:
    def evaluate(source: str) -> Any:
        result = run(source)
        if result.error is not None:
            raise result.error
        return result.value

    return evaluate
