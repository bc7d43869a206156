"""`matchConditions`: expressions that must all hold for a webhook or a policy to be concerned with a request."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kajitori.api.meta import Object
from kajitori.apiserver.admission.scene import Scene

if TYPE_CHECKING:
    from kajitori.api.expressions.compiled import Composition, Expression


class Verdict(NamedTuple):
    """`error` says what refuses the request, where a condition could not be evaluated and failures do count."""

    holds: bool
    error: str = ""


class Conditions:
    """Compiled when they are first needed. `composition` has a policy's variables; a webhook has none."""

    def __init__(
        self, conditions: Sequence[Object], *, may_fail: bool, composition: "Composition | None" = None
    ) -> None:
        self._sources = [condition["expression"] for condition in conditions]
        self._may_fail = may_fail
        self._composition = composition
        self._compiled: list[Expression] | None = None

    async def judge(self, scene: Scene) -> Verdict:
        """A condition that is false counts more than one that fails."""
        from kajitori.api.cel.costs import MATCH_CONDITIONS_LIMIT
        from kajitori.api.expressions.evaluation import OutOfBudget
        from kajitori.apiserver.admission.evaluating import Asking

        expressions, own = self._expressions(), self._composition.compiled if self._composition else {}
        evaluation = Asking(scene, own, MATCH_CONDITIONS_LIMIT)
        try:
            outcomes = [await evaluation.of(expression) for expression in expressions]
        except OutOfBudget as error:
            return self._failed([str(error)])
        if any(outcome.value is False for outcome in outcomes if not outcome.error):
            return Verdict(False)
        errors = [outcome.error for outcome in outcomes if outcome.error]
        return self._failed(errors) if errors else Verdict(True)

    def _failed(self, errors: list[str]) -> Verdict:
        if self._may_fail:
            return Verdict(False)
        several = list(dict.fromkeys(errors))
        return Verdict(False, several[0] if len(several) == 1 else f"[{', '.join(several)}]")

    def _expressions(self) -> "list[Expression]":
        if self._compiled is None:
            from kajitori.api.expressions.compiled import BOOL, compile_expression
            from kajitori.api.expressions.declarations import environment

            where = self._composition.environment() if self._composition else environment(params=False)
            self._compiled = [compile_expression(source, where, BOOL) for source in self._sources]
        return self._compiled
