"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: admission that somebody else's service decides.

Mutating webhooks are asked one after the other, in the order of their configurations' names; validating ones all at
once. What is called, how often and in which version of the object follows "Dynamic Admission Control".
"""

import asyncio
import logging

import orjson

from kajitori.api.errors import BadRequest, Forbidden, InternalError, StatusError, Timeout
from kajitori.api.meta import Object
from kajitori.api.patch import json_patch
from kajitori.api.patch.refusals import not_registered
from kajitori.api.resource import Resource
from kajitori.api.schema import Undecodable, conform
from kajitori.apiserver.admission.figures import INTERNAL
from kajitori.apiserver.admission.matching import is_configuration
from kajitori.apiserver.admission.plugin import Configured
from kajitori.apiserver.admission.rounds import Rounds, state_of
from kajitori.apiserver.admission.scene import Scene, Surroundings, namespace_of, scene_of
from kajitori.apiserver.admission.versions import converted, kind_of_document
from kajitori.apiserver.admission.webhook_calls import Caller, CallFailed, Deadline, Unanswered, ask, asked_of
from kajitori.apiserver.admission.webhook_configurations import MUTATING, VALIDATING, Hook, WebhookConfigurations
from kajitori.apiserver.interfaces import AdmissionRequest

__all__ = ["MUTATING", "VALIDATING", "CallFailed", "Caller", "MutatingWebhooks", "ValidatingWebhooks"]

log = logging.getLogger(__name__)

_LATE = "Timeout: request did not complete within requested timeout - context deadline exceeded"
_PATCH = "patch.webhook.admission.k8s.io/"
"""The audit log shows it only at levels that show the request (`audit.event`)."""
_MUTATION = "mutation.webhook.admission.k8s.io/"
_VALIDATION = "validating.webhook.admission.k8s.io/"


class _Webhooks(Configured):
    def __init__(self, surroundings: Surroundings, caller: Caller, resource: Resource) -> None:
        self._around = surroundings
        self._caller = caller
        self._configured = WebhookConfigurations(surroundings, resource)
        self.stop = self._configured.stop

    @property
    def idle(self) -> bool:
        return not self._configured.hooks

    async def _scene(self, hook: Hook, request: AdmissionRequest, namespace: Object | None) -> Scene | None:
        """The request as the webhook is to see it; None when it is not concerned. Raises StatusError."""
        version = hook.criteria.version_of(request, namespace)
        if version is None:
            return None
        scene = await scene_of(self._around, request, version, namespace)
        if hook.conditions is not None:
            verdict = await hook.conditions.judge(scene)
            if verdict.error:
                raise _forbidden(request, verdict.error)
            if not verdict.holds:
                return None
        return scene

    def _rounds(self, request: AdmissionRequest) -> Rounds:
        if request.rounds is None:
            request.rounds = Rounds()
        return request.rounds

    def _deadline(self, request: AdmissionRequest) -> Deadline:
        rounds = self._rounds(request)
        deadline = Deadline(self._around.clock, request.timeout, rounds.ends_s)
        rounds.ends_s = deadline.ends_s
        return deadline

    def _failed(self, hook: Hook, request: AdmissionRequest, error: Unanswered, mark: str, late: bool) -> None:
        """Let it pass, or raise what refuses the request."""
        if late:
            raise Timeout(_LATE) from error
        if not hook.may_fail:
            why = f'failed calling webhook "{hook.name}": {error}'
            raise InternalError.of(why) from error
        log.warning("webhook %s failed and is ignored: %s", hook.name, error)
        request.annotations[f"failed-open.{mark}"] = hook.name


def _forbidden(request: AdmissionRequest, why: str) -> Forbidden:
    """Unlike what plugins refuse, what has no name is given none."""
    resource = request.resource
    details = {"name": request.name, "group": resource.group, "kind": resource.plural}
    named = f'{resource.qualified_name} "{request.name}"' if request.name else resource.qualified_name
    return Forbidden(f"{named} is forbidden: {why}", {key: value for key, value in details.items() if value})


class MutatingWebhooks(_Webhooks):
    def __init__(self, surroundings: Surroundings, caller: Caller) -> None:
        super().__init__(surroundings, caller, MUTATING)

    async def mutate(self, request: AdmissionRequest) -> None:
        """One round. `Rounds` says who is asked in a second."""
        if not self._configured.hooks or is_configuration(request):
            return
        rounds = self._rounds(request)
        memory = rounds.webhooks
        if rounds.second:
            memory.begin(request.object)
        namespace = await namespace_of(self._around.objects, request)
        for index, hook in enumerate(self._configured.hooks):
            scene = await self._scene(hook, request, namespace)
            if scene is None or (rounds.second and hook.uid not in memory.due):
                continue
            mark = f"round_{int(rounds.second)}_index_{index}"
            changed = await self._apply(hook, scene, mark)
            noted = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed}
            request.annotations[_MUTATION + mark] = orjson.dumps(noted).decode()
            if changed:
                memory.changed()
                rounds.again = True
            if hook.wants_changes:
                memory.eligible.add(hook.uid)
        memory.end(request.object)

    async def _apply(self, hook: Hook, scene: Scene, mark: str) -> bool:
        """Whether the webhook changed the object. Raises StatusError."""
        request, deadline = scene.request, self._deadline(scene.request)
        try:
            answer = await ask(hook, scene, self._caller, deadline, mutating=True)
        except Unanswered as error:
            self._failed(hook, request, error, _MUTATION + mark, deadline.passed)
            return False
        if not answer.patch:
            return False
        if scene.object is None or request.object is None:
            why = f'admission webhook "{hook.name}" attempted to modify the object'
            raise InternalError.of(f"{why}, which is not supported for this operation")
        try:
            patched = await self._patched(scene, scene.object, answer.patch)
        except StatusError:
            self._around.figures.refused(asked_of(hook, scene, mutating=True), INTERNAL, 0)
            raise
        before = state_of(request.object)
        noted = {"configuration": hook.configuration, "webhook": hook.name, "patch": answer.patch}
        request.annotations[_PATCH + mark] = orjson.dumps({**noted, "patchType": "JSONPatch"}).decode()
        request.object.clear()
        request.object.update(patched)
        return state_of(request.object) != before

    async def _patched(self, scene: Scene, obj: Object, patch: list[Object]) -> Object:
        """The object in the request's version, defaulted. Raises InternalError."""
        request, kind = scene.request, kind_of_document(scene.request, scene.version)
        try:
            patched = json_patch.apply(obj, patch)
            _check_kind(kind, patched)
            if kind.definition or kind.schema is not None:
                conform(kind, patched)
            if kind.default is not None:
                kind.default(patched)
        except (json_patch.Inapplicable, Undecodable) as error:
            raise InternalError.of(error.why) from error
        except StatusError as error:
            raise InternalError.of(error.message) from error
        back = patched if request.document else await converted(patched, scene.version, request.resource)
        assert back is not None
        return back


def _check_kind(kind: Resource, patched: Object) -> None:
    """Raises BadRequest where a patch made something else of the object."""
    api_version, name = patched.get("apiVersion") or kind.api_version, patched.get("kind") or kind.kind
    if (api_version, name) == (kind.api_version, kind.kind):
        return
    raise BadRequest(not_registered(name, api_version))


class ValidatingWebhooks(_Webhooks):
    def __init__(self, surroundings: Surroundings, caller: Caller) -> None:
        super().__init__(surroundings, caller, VALIDATING)

    async def validate(self, request: AdmissionRequest) -> None:
        if not self._configured.hooks or is_configuration(request):
            return
        namespace = await namespace_of(self._around.objects, request)
        concerned = [
            (hook, scene)
            for hook in self._configured.hooks
            if (scene := await self._scene(hook, request, namespace)) is not None
        ]
        if not concerned:
            return
        asked = (self._ask(hook, scene, index) for index, (hook, scene) in enumerate(concerned))
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    async def _ask(self, hook: Hook, scene: Scene, index: int) -> None:
        deadline = self._deadline(scene.request)
        try:
            await ask(hook, scene, self._caller, deadline, mutating=False)
        except Unanswered as error:
            self._failed(hook, scene.request, error, f"{_VALIDATION}round_0_index_{index}", late=False)
