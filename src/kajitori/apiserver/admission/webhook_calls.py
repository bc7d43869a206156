"""One question to one webhook: within the time that is left, and with all that its answer says besides yes and no."""

import uuid
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from kajitori.api.errors import BadRequest, StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.admission.figures import DENIED, INTERNAL, UNANSWERED, Asked
from kajitori.apiserver.admission.scene import Scene
from kajitori.apiserver.admission.webhook_configurations import Hook
from kajitori.apiserver.admission.webhook_review import (
    BadAnswer,
    denial,
    patch_of,
    question,
    read_answer,
    review_version,
)
from kajitori.apiserver.configuration import duration_s
from kajitori.kit.clock import Clock

_REQUEST_S = 34.0
"""How long a write may take, whatever the client allows (upstream's bound)."""
_UNAVAILABLE = 503
"""What upstream counts a webhook as that gave no usable answer."""


class CallFailed(Exception):
    """The webhook could not be asked; the message names the address and the reason."""


class Caller(Protocol):
    async def call(self, client_config: Object, body: bytes, timeout_s: float) -> bytes:
        """Post to a webhook and return its answer's body. Raises CallFailed."""


class Unanswered(Exception):
    """Asked in vain, which a webhook's failurePolicy may forgive."""


class Deadline:
    """When the whole request has to be answered. `ends_s` on the monotonic clock; 0 begins to count now."""

    def __init__(self, clock: Clock, timeout: str, ends_s: float = 0.0) -> None:
        self._clock = clock
        self.ends_s = ends_s or clock.monotonic() + min(duration_s(timeout) or _REQUEST_S, _REQUEST_S)

    @property
    def passed(self) -> bool:
        return self._clock.monotonic() >= self.ends_s

    def at_most(self, timeout_s: float) -> float:
        """What is left, in whole seconds where it is less than the limit: it is told to the webhook."""
        left_s = self.ends_s - self._clock.monotonic()
        return timeout_s if left_s >= timeout_s else max(left_s, 0.001)


@dataclass(frozen=True, slots=True)
class Answer:
    """`patch` is empty for a validating webhook."""

    response: Object
    patch: list[Any]


async def ask(hook: Hook, scene: Scene, caller: Caller, deadline: Deadline, *, mutating: bool) -> Answer:
    """Raises StatusError for a denial, Unanswered for everything that is no answer."""
    figures, clock, asked = scene.around.figures, scene.around.clock, asked_of(hook, scene, mutating=mutating)
    if scene.request.dry_run and hook.has_side_effects:
        figures.refused(asked, INTERNAL, 0)
        raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
    began_s = clock.monotonic()
    try:
        answer = await _ask(hook, scene, caller, deadline, mutating=mutating)
    except Unanswered:
        figures.answered(asked, clock.monotonic() - began_s, _UNAVAILABLE, rejected=not hook.may_fail)
        if hook.may_fail:
            figures.failed_open(asked)
        else:
            figures.refused(asked, UNANSWERED, _UNAVAILABLE)
        raise
    except StatusError as denied:
        figures.answered(asked, clock.monotonic() - began_s, denied.status_code, rejected=True)
        figures.refused(asked, DENIED, denied.status_code)
        raise
    figures.answered(asked, clock.monotonic() - began_s, 200, rejected=False)
    return answer


def asked_of(hook: Hook, scene: Scene, *, mutating: bool) -> Asked:
    return Asked(hook.name, "admit" if mutating else "validating", str(scene.request.operation))


async def _ask(hook: Hook, scene: Scene, caller: Caller, deadline: Deadline, *, mutating: bool) -> Answer:
    request = scene.request
    uid = str(uuid.uuid4())
    try:
        version = review_version(hook.review_versions)
        body = orjson.dumps(question(scene.asked, scene.object, scene.old, uid, version))
        answered = await caller.call(hook.client, body, deadline.at_most(hook.timeout_s))
        response = read_answer(answered, uid, version, mutating=mutating)
    except CallFailed as error:
        raise Unanswered(f"failed to call webhook: {error}") from error
    except BadAnswer as error:
        raise Unanswered(str(error)) from error
    for key, value in (response.get("auditAnnotations") or {}).items():
        request.annotations[f"{hook.name}/{key}"] = str(value)
    request.warnings += [str(warning) for warning in response.get("warnings") or ()]
    if not response.get("allowed"):
        raise denial(hook.name, response)
    try:
        return Answer(response, patch_of(response, version) if mutating else [])
    except BadAnswer as error:
        raise Unanswered(str(error)) from error
