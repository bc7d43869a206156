"""ValidatingAdmissionPolicy (KEP-3488): expressions that say which requests are refused, warned of, or noted."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import orjson

from kajitori.api import admissionregistration
from kajitori.api.errors import StatusError
from kajitori.apiserver.admission.figures import AdmissionFigures
from kajitori.apiserver.admission.plugin import Configured, refusal
from kajitori.apiserver.admission.policy_matching import Matching, Question
from kajitori.apiserver.admission.policy_source import PolicySource, is_outside
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.interfaces import AdmissionRequest

if TYPE_CHECKING:
    from kajitori.apiserver.admission.validation_rules import Decision, ValidationRules

POLICIES = admissionregistration.VALIDATING_ADMISSION_POLICY
BINDINGS = admissionregistration.VALIDATING_ADMISSION_POLICY_BINDING
_CODES = {"Forbidden": 403, "Unauthorized": 401, "RequestEntityTooLarge": 413, "Invalid": 422}
_FAILURE = "validation.policy.admission.k8s.io/validation_failure"
_NOTE_CHARACTERS_MAX = 10 * 1024


def _compiled(spec: dict[str, object]) -> "ValidationRules":
    from kajitori.apiserver.admission.validation_rules import ValidationRules

    return ValidationRules(spec)


class ValidatingPolicies(Configured):
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._source: PolicySource[ValidationRules] = PolicySource(around, POLICIES, BINDINGS, _compiled)
        self.stop = self._source.stop

    @property
    def idle(self) -> bool:
        return not self._source.bound

    async def validate(self, request: AdmissionRequest) -> None:
        """Every policy is asked, whatever the first one says: some only warn or take notes."""
        if not self._source.bound or is_outside(request):
            return
        answer = _Answer(request, self._around.figures)
        matching: Matching[ValidationRules] = Matching(self._around, request)
        async for question in matching.questions(self._source):
            if question.error:
                answer.misconfigured(question)
                continue
            try:
                scene = await matching.scene(question)
            except StatusError as error:
                why = f"failed to configure binding: failed to convert object version: {error.message}"
                answer.misconfigured(question, why)
                continue
            rules = await question.policy.ready()
            judgement = await rules.judge(scene, may_fail=question.policy.may_fail)
            for decision in judgement.denials:
                answer.denied(question, decision)
            for kind in judgement.forgiven:
                answer.forgiven(question, kind)
            for why in judgement.failures:
                answer.refuse(question, why)
            answer.note(question.policy.name, judgement.notes)
        answer.give()


class _Answer:
    """What all policies say of one request. The first denial is the one that the client is told."""

    def __init__(self, request: AdmissionRequest, figures: AdmissionFigures) -> None:
        self._request = request
        self._figures = figures
        self._refusal: tuple[str, str] | None = None
        self._notes: dict[str, list[str]] = {}

    def misconfigured(self, question: "Question[ValidationRules]", why: str = "") -> None:
        if not question.policy.may_fail:
            self.refuse(question, why or question.error)

    def denied(self, question: "Question[ValidationRules]", decision: "Decision") -> None:
        """As the binding's `validationActions` want it."""
        assert question.binding is not None
        policy, binding, actions = question.policy.name, question.binding, question.binding.spec["validationActions"]
        for action in actions:
            self._figures.checked(policy, binding.name, decision.error, action.lower())
            if action == "Deny":
                self.refuse(question, decision.message, decision.reason)
            elif action == "Warn":
                where = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding.name}'"
                self._request.warnings.append(f"Validation failed for {where}: {decision.message}")
            elif action == "Audit":
                noted = {
                    "message": decision.message,
                    "policy": policy,
                    "binding": binding.name,
                    "expressionIndex": decision.index,
                    "validationActions": actions,
                }
                self._request.annotations.setdefault(_FAILURE, orjson.dumps([noted]).decode())

    def forgiven(self, question: "Question[ValidationRules]", error: str) -> None:
        assert question.binding is not None
        self._figures.checked(question.policy.name, question.binding.name, error, "allow")

    def refuse(self, question: "Question[ValidationRules]", why: str, reason: str = "") -> None:
        if self._refusal is None:
            bound = f" with binding '{question.binding.name}'" if question.binding is not None else ""
            text = f"ValidatingAdmissionPolicy '{question.policy.name}'{bound} denied request: {why}"
            self._refusal = (text, reason or "Invalid")

    def note(self, policy: str, notes: Iterable[tuple[str, str]]) -> None:
        """Values of several bindings stand side by side."""
        for key, value in notes:
            values = self._notes.setdefault(f"{policy}/{key}", [])
            if (cut := value[:_NOTE_CHARACTERS_MAX]) not in values:
                values.append(cut)

    def give(self) -> None:
        """Raises StatusError when the request is refused."""
        self._request.annotations.update(_joined(self._notes))
        if self._refusal is None:
            return
        message, reason = self._refusal
        error = refusal(self._request, message)
        error.details = {**(error.details or {}), "causes": [{"message": message}]}
        error.status_reason, error.status_code = reason, _CODES.get(reason, 422)
        raise error


def _joined(notes: Mapping[str, list[str]]) -> dict[str, str]:
    return {key: ", ".join(values) for key, values in notes.items()}
