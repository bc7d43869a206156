"""What another server decides: SubjectAccessReview (authorization.k8s.io/v1) sent to a webhook.

`authorize` answers from memory alone; what is not remembered is Verdict.ASK, and `ask` goes and asks.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.api.selectors import parse_field_selector, parse_label_selector
from kajitori.apiserver.interfaces import Attributes, Verdict
from kajitori.apiserver.remote import Answers, Unanswered
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

Answer = tuple[Verdict, str]
AUTHORIZED_S, UNAUTHORIZED_S = 300.0, 30.0
_REMEMBERED_CHARS_MAX = 10_000
"""Questions longer than this are asked anew each time: strangers choose their length."""


class Caller(Protocol):
    async def post(self, document: Object) -> Object:
        """Raises Unanswered."""


Condition = Callable[[Object], bool]
"""A match condition over a SubjectAccessReview's spec. Raises ValueError when it cannot be evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookPolicy:
    """`on_failure` is the verdict when there is no answer. Zero seconds remember nothing."""

    name: str = "webhook"
    on_failure: Verdict = Verdict.NO_OPINION
    authorized_s: float = AUTHORIZED_S
    unauthorized_s: float = UNAUTHORIZED_S
    conditions: Sequence[Condition] = ()


class WebhookAuthorizer:
    def __init__(self, caller: Caller, clock: Clock, policy: WebhookPolicy) -> None:
        self._caller = caller
        self._policy = policy
        self._answers: Answers[Answer] = Answers(clock)

    def authorize(self, attributes: Attributes) -> Answer:
        if self._policy.conditions:
            excused = self._excused(review_spec(attributes))
            if excused is not None:
                return excused
        known = self._answers.known(attributes_key(attributes))
        return known if known is not None else (Verdict.ASK, "")

    async def ask(self, attributes: Attributes) -> Answer:
        spec = review_spec(attributes)

        async def post() -> tuple[Answer, float]:
            answer = await self._post(spec)
            policy = self._policy
            holds_s = policy.authorized_s if answer[0] is Verdict.ALLOW else policy.unauthorized_s
            return answer, holds_s if _length(attributes) <= _REMEMBERED_CHARS_MAX else 0.0

        try:
            return await self._answers.of(attributes_key(attributes), post)
        except Unanswered as error:
            log.warning("the authorization webhook %s gave no answer: %s", self._policy.name, error)
            return self._policy.on_failure, ""

    def _excused(self, spec: Object) -> Answer | None:
        """No opinion when a condition says that this is none of the webhook's business."""
        failed = False
        for condition in self._policy.conditions:
            try:
                if not condition(spec):
                    return Verdict.NO_OPINION, ""
            except ValueError as error:
                log.warning("a match condition of the authorization webhook %s failed: %s", self._policy.name, error)
                failed = True
        return (self._policy.on_failure, "") if failed else None

    async def _post(self, spec: Object) -> Answer:
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._caller.post(review)
        status = answer.get("status")
        if not isinstance(status, dict):
            raise Unanswered("the answer has no status")
        reason = str(status.get("reason") or "")
        if status.get("denied") is True:
            return Verdict.DENY, reason
        return (Verdict.ALLOW if status.get("allowed") is True else Verdict.NO_OPINION), reason


def attributes_key(asked: Attributes) -> tuple[object, ...]:
    """Everything that the webhook is told."""
    user = asked.user
    extra = tuple(sorted((key, tuple(values)) for key, values in user.extra.items()))
    return (
        user.name,
        user.uid,
        user.groups,
        extra,
        asked.verb,
        asked.group,
        asked.version,
        asked.resource,
        asked.subresource,
        asked.namespace,
        asked.name,
        asked.path,
        asked.label_selector,
        asked.field_selector,
    )


def _length(asked: Attributes) -> int:
    texts = (asked.namespace, asked.name, asked.path, asked.group, asked.version, asked.resource, asked.subresource)
    return sum(map(len, (*texts, asked.verb, asked.label_selector, asked.field_selector)))


def review_spec(asked: Attributes) -> Object:
    """The spec of a SubjectAccessReview."""
    user = asked.user
    spec: Object = {"user": user.name}
    if asked.is_resource:
        fields = ("namespace", "verb", "group", "version", "resource", "subresource", "name")
        told: Object = {field: value for field in fields if (value := getattr(asked, field))}
        if labels := _label_requirements(asked.label_selector):
            told["labelSelector"] = {"requirements": labels}
        if selected := _field_requirements(asked.field_selector):
            told["fieldSelector"] = {"requirements": selected}
        spec["resourceAttributes"] = told
    else:
        spec["nonResourceAttributes"] = {"path": asked.path, "verb": asked.verb}
    if user.groups:
        spec["groups"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    if user.uid:
        spec["uid"] = user.uid
    return spec


# A selector that cannot be read is left out: the question then is about more, never about less.


def _field_requirements(text: str) -> list[Object]:
    try:
        requirements = parse_field_selector(text).requirements if text else ()
    except StatusError:
        return []
    return [{"key": r.field, "operator": "In" if r.equal else "NotIn", "values": [r.value]} for r in requirements]


def _label_requirements(text: str) -> list[Object]:
    try:
        requirements = parse_label_selector(text).requirements if text else ()
    except StatusError:
        return []
    return [
        {"key": r.key, "operator": r.operator, **({"values": list(r.values)} if r.values else {})}
        for r in requirements
        if r.operator in ("In", "NotIn", "Exists", "DoesNotExist")
    ]
