"""What a ValidatingAdmissionPolicy says, compiled, and what follows from it for one scene.

Imported when the first policy matches: it brings the language along.
"""

from dataclasses import dataclass, field

from kajitori.api.cel.costs import OBJECT_LIMIT
from kajitori.api.expressions.compiled import (
    BOOL,
    STRING,
    STRING_OR_NULL,
    Composition,
    Expression,
    compile_expression,
)
from kajitori.api.expressions.evaluation import OutOfBudget
from kajitori.api.meta import Object
from kajitori.apiserver.admission.conditions import Conditions
from kajitori.apiserver.admission.evaluating import Asking
from kajitori.apiserver.admission.scene import Scene

_MESSAGE_BYTES_MAX = 5 * 1024
NO_ERROR, _COMPILE_ERROR, _INVALID_ERROR, _OUT_OF_BUDGET = "no_error", "compile_error", "invalid_error", "out_of_budget"
"""What metrics call the ways in which an expression fails."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A validation that does not hold. `index` is its number in the policy; `error` why it could not be evaluated."""

    message: str
    reason: str = ""
    index: int = 0
    error: str = NO_ERROR


@dataclass(slots=True)
class Judgement:
    """`denials` are treated as the binding wants it, `failures` refuse the request; `notes` are for the audit log.
    `forgiven` are the errors of what the policy's failurePolicy lets pass."""

    denials: list[Decision] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Validation:
    expression: Expression
    message: str
    message_expression: Expression | None
    reason: str


class ValidationRules:
    def __init__(self, spec: Object) -> None:
        variables = Composition(params=spec.get("paramKind") is not None).declare_all(spec.get("variables") or ())
        self._own = variables.compiled
        self._conditions: Conditions | None = None
        if conditions := spec.get("matchConditions"):
            may_fail = spec.get("failurePolicy") == "Ignore"
            self._conditions = Conditions(conditions, may_fail=may_fail, composition=variables)
        everything, no_authorizer = variables.environment(), variables.environment(authorizer=False)
        self._validations = [
            _Validation(
                compile_expression(rule["expression"], everything, BOOL),
                rule.get("message") or "",
                compile_expression(text, no_authorizer, STRING) if (text := rule.get("messageExpression")) else None,
                rule.get("reason") or "Invalid",
            )
            for rule in spec.get("validations") or ()
        ]
        self._annotations = [
            (note["key"], compile_expression(note["valueExpression"], everything, STRING_OR_NULL))
            for note in spec.get("auditAnnotations") or ()
        ]

    async def judge(self, scene: Scene, *, may_fail: bool) -> Judgement:
        judgement = Judgement()
        if self._conditions is not None:
            verdict = await self._conditions.judge(scene)
            if verdict.error:
                judgement.denials.append(Decision(verdict.error, error=_INVALID_ERROR))
            if not verdict.holds:
                return judgement
        try:
            await self._validate(scene, judgement, may_fail)
            await self._annotate(scene, judgement, may_fail)
        except OutOfBudget as error:
            if may_fail:
                return Judgement(forgiven=[_OUT_OF_BUDGET])
            return Judgement([Decision(str(error), error=_OUT_OF_BUDGET)])
        return judgement

    async def _validate(self, scene: Scene, judgement: Judgement, may_fail: bool) -> None:
        evaluation = Asking(scene, self._own, OBJECT_LIMIT)
        for index, rule in enumerate(self._validations):
            outcome = await evaluation.of(rule.expression)
            if outcome.error:
                kind = _COMPILE_ERROR if rule.expression.program is None else _INVALID_ERROR
                if may_fail:
                    judgement.forgiven.append(kind)
                else:
                    judgement.denials.append(Decision(outcome.error, index=index, error=kind))
            elif outcome.value is not True:
                message = await _message(rule, evaluation)
                judgement.denials.append(Decision(message, rule.reason, index))

    async def _annotate(self, scene: Scene, judgement: Judgement, may_fail: bool) -> None:
        evaluation = Asking(scene, self._own, OBJECT_LIMIT)
        for key, expression in self._annotations:
            outcome = await evaluation.of(expression)
            if outcome.error:
                if not may_fail:
                    judgement.failures.append(outcome.error)
            elif isinstance(outcome.value, str) and outcome.value.strip():
                judgement.notes.append((key, outcome.value.strip()))


async def _message(rule: _Validation, evaluation: Asking) -> str:
    """What the expression makes, where that is one short line; else what the policy says; else the expression."""
    if rule.message_expression is not None:
        outcome = await evaluation.of(rule.message_expression)
        made = outcome.value.strip() if isinstance(outcome.value, str) else ""
        if made and "\n" not in made and len(made.encode()) <= _MESSAGE_BYTES_MAX:
            return str(made)
    return rule.message.strip() or f"failed expression: {rule.expression.source.strip()}"
