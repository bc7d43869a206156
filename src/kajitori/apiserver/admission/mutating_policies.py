"""MutatingAdmissionPolicy: expressions that change what is written (KEP-3962), asked before mutating webhooks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kajitori.api import admissionregistration
from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.apiserver.admission.plugin import Configured, refusal
from kajitori.apiserver.admission.policy_matching import Matching, Question
from kajitori.apiserver.admission.policy_source import PolicySource, is_outside
from kajitori.apiserver.admission.rounds import Rounds, state_of
from kajitori.apiserver.admission.scene import Scene, Surroundings
from kajitori.apiserver.admission.versions import converted, kind_of_document
from kajitori.apiserver.interfaces import AdmissionRequest, Operation

if TYPE_CHECKING:
    from kajitori.apiserver.admission.mutations import MutationRules

POLICIES = admissionregistration.MUTATING_ADMISSION_POLICY
BINDINGS = admissionregistration.MUTATING_ADMISSION_POLICY_BINDING


def _compiled(spec: Object) -> "MutationRules":
    from kajitori.apiserver.admission.mutations import MutationRules

    return MutationRules(spec)


class MutatingPolicies(Configured):
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._source: PolicySource[MutationRules] = PolicySource(around, POLICIES, BINDINGS, _compiled)
        self.stop = self._source.stop

    @property
    def idle(self) -> bool:
        return not self._source.bound

    async def mutate(self, request: AdmissionRequest) -> None:
        """One round. Which policies are asked is decided on the object as it comes; each then sees the changes before
        it. A deletion has nothing to change."""
        if not self._source.bound or request.operation is Operation.DELETE or is_outside(request):
            return
        if request.rounds is None:
            request.rounds = Rounds()
        matching: Matching[MutationRules] = Matching(self._around, request)
        questions = [question async for question in matching.questions(self._source)]
        turn = _Turn(request, request.rounds, matching)
        for question in questions:
            if question.error:
                turn.fail(question, question.error)
        if asked := [question for question in questions if not question.error]:
            await turn.run(asked)
        turn.give()


def _key(question: "Question[MutationRules]") -> str:
    assert question.binding is not None
    params = question.params
    place = f"{namespace_of(params)}/{name_of(params)}" if params is not None else ""
    return f"{question.policy.name} {question.binding.name} {place}"


@dataclass(slots=True)
class _Turn:
    """One request before the policies that concern it, in one round."""

    request: AdmissionRequest
    rounds: Rounds
    matching: "Matching[MutationRules]"
    mutated: bool = False
    failures: list[str] = field(default_factory=list)
    reason: str = ""

    async def run(self, questions: "list[Question[MutationRules]]") -> None:
        memory = self.rounds.policies
        if self.rounds.second:
            memory.begin(self.request.object)
        for question in questions:
            await self._ask(question)
        if self.mutated:
            memory.changed()
            self.rounds.again = True
        memory.end(self.request.object)

    async def _ask(self, question: "Question[MutationRules]") -> None:
        memory, rules = self.rounds.policies, await question.policy.ready()
        if rules.conditions is not None:
            verdict = await rules.conditions.judge(await self.matching.scene(question))
            if verdict.error:
                self.fail(question, verdict.error, "Invalid")
            if not verdict.holds:
                return
        key = _key(question)
        if self.rounds.second and key not in memory.due:
            return
        before = state_of(self.request.object)
        for number in range(len(rules.mutations)):
            await self._mutate(question, number)
        if state_of(self.request.object) != before:
            memory.changed()
        if question.policy.spec.get("reinvocationPolicy") == "IfNeeded":
            memory.eligible.add(key)

    async def _mutate(self, question: "Question[MutationRules]", number: int) -> None:
        """One mutation; the next sees what it did. Raises StatusError for what no policy may ask to be forgiven."""
        from kajitori.apiserver.admission.mutations import MutationFailed

        scene = await self.matching.scene(question)
        if scene.object is None or self.request.object is None:
            return
        around, bound = scene.around, question.binding.name if question.binding is not None else ""
        began_s, error_type = around.clock.monotonic(), "no_error"
        try:
            changed = await question.policy.compiled.mutated(
                number, scene, kind_of_document(self.request, scene.version)
            )
        except MutationFailed as error:
            error_type = "invalid_error"
            self.fail(question, str(error), "Invalid")
            return
        finally:
            around.figures.mutated(question.policy.name, bound, error_type, around.clock.monotonic() - began_s)
        await self._take(scene, changed)
        await self.matching.scene(question, fresh=True)
        self.mutated = True

    async def _take(self, scene: Scene, changed: Object) -> None:
        request = self.request
        assert request.object is not None
        back = changed if request.document else await converted(changed, scene.version, request.resource)
        assert back is not None
        if back is not request.object:
            kept = {**back}
            request.object.clear()
            request.object.update(kept)

    def fail(self, question: "Question[MutationRules]", why: str, reason: str = "") -> None:
        if question.policy.may_fail:
            return
        name = question.policy.name
        bound = f"policy '{name}' with binding '{question.binding.name}'" if question.binding else f'policy "{name}"'
        if not self.failures:
            self.reason = reason
        self.failures.append(f"{bound} denied request: {why}")

    def give(self) -> None:
        """Raises Forbidden when a policy could not do its work; the code stays that whatever the reason."""
        if not self.failures:
            return
        error = refusal(self.request, "")
        error.message = self.failures[0]
        error.args = (error.message,)
        error.details = {**(error.details or {}), "causes": [{"message": failure} for failure in self.failures]}
        error.status_reason = self.reason or error.status_reason
        raise error
