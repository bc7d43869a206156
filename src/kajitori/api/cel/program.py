"""Compiling and evaluating: the door of this package.

environment = kubernetes_environment({"object": DYN, "params": DYN})
program = compile("object.spec.replicas <= params.max", environment)
program.evaluate({"object": pod, "params": None})        # a Python value, see `values`
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kajitori.api.cel.ast import Node
from kajitori.api.cel.checker import check
from kajitori.api.cel.costs import CALL_LIMIT
from kajitori.api.cel.environment import Environment
from kajitori.api.cel.errors import CompileError, CostExceeded, EvaluationError, InstantiationError, Issue
from kajitori.api.cel.frames import Frame, Plan
from kajitori.api.cel.parser import parse
from kajitori.api.cel.planner import plan
from kajitori.api.cel.types import Type


@dataclass(frozen=True, slots=True)
class Result:
    """`cost` counts also when the evaluation failed; then `error` is set and `value` means nothing."""

    value: Any
    cost: int
    error: EvaluationError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A compiled expression. `uses` are the names of the variables that it mentions."""

    source: str
    type: Type
    uses: frozenset[str]
    tree: Node
    environment: Environment
    _plan: Plan

    def evaluate(self, variables: Mapping[str, Any], limit: int = CALL_LIMIT) -> Any:
        """The value; raises EvaluationError, of which CostExceeded says that `limit` was too little."""
        result = self.run(variables, limit)
        if result.error is not None:
            raise result.error
        return result.value

    def run(self, variables: Mapping[str, Any], limit: int = CALL_LIMIT) -> Result:
        """The same with its cost, for callers who have a budget for several expressions."""
        frame = Frame(dict(variables), limit)
        try:
            value = self._plan(frame)
            if frame.cost > limit:
                raise CostExceeded
        except EvaluationError as error:
            return Result(None, frame.cost, error)
        except RecursionError:
            return Result(None, frame.cost, EvaluationError("expression recursion limit exceeded"))
        return Result(value, frame.cost)


def compile(source: str, environment: Environment) -> Program:
    """Raises CompileError, whose text is what upstream puts behind "compilation failed: "."""
    tree = parse(source, binding=environment.binding)
    uses = check(source, tree, environment)
    try:
        return Program(source, tree.type, uses, tree, environment, plan(tree))
    except EvaluationError as error:
        raise InstantiationError(source, str(error)) from None
    except RecursionError:
        raise CompileError(source, [Issue(-1, 0, "expression recursion limit exceeded")]) from None
