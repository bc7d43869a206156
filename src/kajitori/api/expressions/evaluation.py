"""Evaluating compiled expressions one after the other within a budget, with a policy's variables as they are needed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kajitori.api.cel.costs import CALL_LIMIT, OBJECT_LIMIT
from kajitori.api.cel.errors import CostExceeded, EvaluationError, Unfinished
from kajitori.api.cel.program import Program, Result
from kajitori.api.expressions.compiled import Expression
from kajitori.api.expressions.declarations import VARIABLES

_SPENT = "validation failed due to running out of cost budget, no further validation rules will be run"


class OutOfBudget(Exception):
    """The expressions together cost more than they may."""

    def __init__(self) -> None:
        super().__init__(_SPENT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is what users are told; then `value` means nothing."""

    value: Any = None
    error: str = ""


class Evaluation:
    """One request before one policy. `seen` are the variables' values but for the policy's own."""

    def __init__(self, seen: Mapping[str, Any], own: Mapping[str, Expression], budget: int = OBJECT_LIMIT) -> None:
        self._left = budget
        self.cost = 0
        """What the last expression took, the variables that it needed included."""
        self.limit = CALL_LIMIT
        """Of one expression. Where it is lower than what one may cost, dear ones are left `Unfinished`."""
        self._spent_inside = 0
        self._variables: dict[str, Any] = dict(seen)
        if own:
            self._variables[VARIABLES] = _Variables(own, self)

    def of(self, expression: Expression) -> Outcome:
        """Raises OutOfBudget, Unfinished."""
        if expression.program is None:
            return Outcome(error=f"compilation error: {expression.error}")
        result = self._run(expression.program)
        self.cost = result.cost + self._spent_inside
        self._left -= self.cost
        self._spent_inside = 0
        if self._left < 0:
            raise OutOfBudget
        if result.error is not None:
            return Outcome(error=f"expression '{expression.source}' resulted in error: {result.error}")
        return Outcome(result.value)

    def variable(self, name: str, expression: Expression) -> Any:
        """The value of one of the policy's own. Raises EvaluationError, Unfinished."""
        if expression.program is None:
            raise EvaluationError(f'composited variable "{name}" fails to compile: {expression.error}')
        result = self._run(expression.program)
        self._spent_inside += result.cost
        if self._spent_inside > self._left:
            raise CostExceeded
        if result.error is not None:
            raise EvaluationError(f'composited variable "{name}" fails to evaluate: {result.error}')
        return result.value

    def _run(self, program: Program) -> Result:
        result = program.run(self._variables, self.limit)
        if self.limit < CALL_LIMIT and isinstance(result.error, CostExceeded):
            raise Unfinished
        return result


class _Variables(Mapping[str, Any]):
    """Evaluated when they are asked for, each once; one that fails fails every time alike."""

    __slots__ = ("_evaluation", "_expressions", "_failed", "_values")

    def __init__(self, expressions: Mapping[str, Expression], evaluation: Evaluation) -> None:
        self._expressions = expressions
        self._evaluation = evaluation
        self._values: dict[str, Any] = {}
        self._failed: dict[str, EvaluationError] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if name in self._failed:
            raise self._failed[name]
        try:
            value = self._evaluation.variable(name, self._expressions[name])
        except EvaluationError as error:
            self._failed[name] = error
            raise
        self._values[name] = value
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._expressions

    def __iter__(self) -> Iterator[str]:
        return iter(self._expressions)

    def __len__(self) -> int:
        return len(self._expressions)
