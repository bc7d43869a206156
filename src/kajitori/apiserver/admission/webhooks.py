"""MutatingAdmissionWebhook and ValidatingAdmissionWebhook: admission that somebody else's service decides.

Mutating webhooks are asked one after the other, in the order of their configurations' names; validating ones all at
once. Not evaluated: `matchConditions` (CEL); a webhook that has them is asked more often than it wishes.
"""

import asyncio
import uuid
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import orjson

from kajitori.api import admissionregistration, core
from kajitori.api.errors import BadRequest, InternalError, StatusError
from kajitori.api.meta import Object, name_of
from kajitori.api.patch import json_patch
from kajitori.api.resource import Resource
from kajitori.api.schema import conform
from kajitori.apiserver.admission.plugin import Plugin
from kajitori.apiserver.admission.webhook_review import BadAnswer, denial, patch_of, question, read_answer
from kajitori.apiserver.admission.webhook_rules import concerns
from kajitori.apiserver.interfaces import AdmissionRequest, Objects

MUTATING = admissionregistration.MUTATING_WEBHOOK_CONFIGURATION
VALIDATING = admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION
_TIMEOUT_S = 10


class CallFailed(Exception):
    """The webhook could not be asked; the message names the address and the reason."""


class Caller(Protocol):
    async def call(self, client_config: Object, body: bytes, timeout_s: float) -> bytes:
        """Post to a webhook and return its answer's body. Raises CallFailed."""


class _Hook(NamedTuple):
    configuration: str
    webhook: Object

    @property
    def name(self) -> str:
        return str(self.webhook["name"])


class _Webhooks(Plugin):
    def __init__(self, objects: Objects, caller: Caller, resource: Resource) -> None:
        self._objects = objects
        self._caller = caller
        self._resource = resource

    def _concerned(self, request: AdmissionRequest) -> Iterator[_Hook]:
        configurations = list(self._objects.cached_list(self._resource))
        if not configurations:
            return
        namespace = self._objects.cached(core.NAMESPACE, request.namespace) if request.namespace else None
        for configuration in sorted(configurations, key=name_of):
            for webhook in configuration.get("webhooks") or ():
                if concerns(webhook, request, namespace):
                    yield _Hook(name_of(configuration), webhook)

    async def _ask(self, hook: _Hook, request: AdmissionRequest) -> Object | None:
        """The answer; None when the webhook failed and may be ignored. Raises what refuses the request."""
        webhook = hook.webhook
        if request.dry_run and webhook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        uid = str(uuid.uuid4())
        body = orjson.dumps(question(request, uid))
        timeout_s = webhook.get("timeoutSeconds") or _TIMEOUT_S
        try:
            response = read_answer(await self._caller.call(webhook["clientConfig"], body, timeout_s), uid)
            patch_of(response)
        except (CallFailed, BadAnswer) as error:
            if webhook.get("failurePolicy") == "Ignore":
                return None
            why = f'failed calling webhook "{hook.name}": failed to call webhook: {error}'
            raise InternalError(f"Internal error occurred: {why}") from error
        request.warnings += [str(warning) for warning in response.get("warnings") or ()]
        for key, value in (response.get("auditAnnotations") or {}).items():
            request.annotations[f"{hook.name}/{key}"] = value
        if not response.get("allowed"):
            raise denial(hook.name, response)
        return response


class MutatingWebhooks(_Webhooks):
    def __init__(self, objects: Objects, caller: Caller) -> None:
        super().__init__(objects, caller, MUTATING)

    async def mutate(self, request: AdmissionRequest) -> None:
        """One round; a second one for those that want to see what later webhooks changed."""
        asked: list[tuple[_Hook, bytes]] = []
        for hook in self._concerned(request):
            await self._apply(hook, request)
            asked.append((hook, _state(request)))
        for hook, seen in asked:
            if hook.webhook.get("reinvocationPolicy") == "IfNeeded" and _state(request) != seen:
                await self._apply(hook, request)

    async def _apply(self, hook: _Hook, request: AdmissionRequest) -> None:
        response = await self._ask(hook, request)
        patch = patch_of(response) if response else []
        if not patch or request.object is None:
            return
        try:
            patched = json_patch.apply(request.object, patch)
            conform(request.resource, patched)
        except StatusError as error:
            why = f'failed calling webhook "{hook.name}": its patch does not apply: {error.message}'
            raise InternalError(f"Internal error occurred: {why}") from error
        if request.resource.default is not None:
            request.resource.default(patched)
        request.object.clear()
        request.object.update(patched)


class ValidatingWebhooks(_Webhooks):
    def __init__(self, objects: Objects, caller: Caller) -> None:
        super().__init__(objects, caller, VALIDATING)

    async def validate(self, request: AdmissionRequest) -> None:
        hooks = list(self._concerned(request))
        if not hooks:
            return
        answers = await asyncio.gather(*(self._ask(hook, request) for hook in hooks), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


def _state(request: AdmissionRequest) -> bytes:
    return orjson.dumps(request.object, option=orjson.OPT_SORT_KEYS)
