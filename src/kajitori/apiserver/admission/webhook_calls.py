"""One question to one webhook: within the time that is left, and with all that its answer says besides yes and no."""

import uuid
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
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
    request = scene.request
    if request.dry_run and hook.has_side_effects:
        raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
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
