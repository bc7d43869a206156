"""`authorizer.group("apps").resource("deployments").namespace("a").check("create").allowed()`: may the user do it?

An answer may need the network, and an expression cannot wait. So a check that has no answer yet raises `Undecided`,
which is no error of the expression; who evaluates asks, remembers the answer and evaluates again (`decided`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.functions import Overload, member
from kajitori.api.cel.types import opaque
from kajitori.api.cel.values import Opaque
from kajitori.api.validation.formats import label_errors, subdomain_errors

_ASKED_MAX = 64
"""Different questions of one evaluation: costs allow two for each expression."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. `service_account` is a namespace and a name, when not about the user of the request."""

    verb: str = ""
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    allowed: bool
    reason: str = ""
    error: str = ""


class Undecided(Exception):
    def __init__(self, query: Query) -> None:
        super().__init__(f"not asked yet: {query}")
        self.query = query


Answers = dict[Query, Answer]


class _Step(Opaque):
    """A question being put together."""

    __slots__ = ("answers", "query")

    def __init__(self, answers: Answers, query: Query) -> None:
        self.answers = answers
        self.query = query

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, _Step) and self.query == other.query

    def __hash__(self) -> int:
        return hash(self.query)


class Authorizer(_Step):
    """The variable `authorizer`. `answers` are those known so far."""

    __slots__ = ()
    cel_type = opaque("kubernetes.authorization.Authorizer")

    def __init__(self, answers: Answers, query: Query | None = None) -> None:
        super().__init__(answers, query or Query())

    def resource(self, query: Query) -> "ResourceCheck":
        """The variable `authorizer.requestResource`."""
        return ResourceCheck(self.answers, query)


class PathCheck(_Step):
    __slots__ = ()
    cel_type = opaque("kubernetes.authorization.PathCheck")


class GroupCheck(_Step):
    __slots__ = ()
    cel_type = opaque("kubernetes.authorization.GroupCheck")


class ResourceCheck(_Step):
    __slots__ = ()
    cel_type = opaque("kubernetes.authorization.ResourceCheck")


class Decision(Opaque):
    __slots__ = ("answer",)
    cel_type = opaque("kubernetes.authorization.Decision")

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decision) and self.answer == other.answer

    def __hash__(self) -> int:
        return hash(self.answer)


T = TypeVar("T")


async def decided(evaluate: Callable[[], T], answers: Answers, ask: Callable[[Query], Awaitable[Answer]]) -> T:
    """What `evaluate` gives once every question that it puts is answered."""
    for _ in range(_ASKED_MAX):
        try:
            return evaluate()
        except Undecided as waiting:
            answers[waiting.query] = await ask(waiting.query)
    raise EvaluationError("too many authorization checks")


def _check(step: _Step, verb: str) -> Decision:
    query = replace(step.query, verb=verb)
    answer = step.answers.get(query)
    if answer is None:
        raise Undecided(query)
    return Decision(answer)


def _path(step: Authorizer, path: str) -> PathCheck:
    if not path:
        raise EvaluationError("path must not be empty")
    return PathCheck(step.answers, replace(step.query, path=path))


def _service_account(step: Authorizer, namespace: str, name: str) -> Authorizer:
    if subdomain_errors(name):
        raise EvaluationError("Invalid service account name")
    if label_errors(namespace):
        raise EvaluationError("Invalid service account namespace")
    return Authorizer(step.answers, replace(step.query, service_account=(namespace, name)))


def _resource(step: GroupCheck, resource: str) -> ResourceCheck:
    if not resource:
        raise EvaluationError("resource must not be empty")
    return ResourceCheck(step.answers, replace(step.query, resource=resource))


def _with(part: str) -> Callable[[ResourceCheck, str], ResourceCheck]:
    def add(step: ResourceCheck, value: str) -> ResourceCheck:
        parts: dict[str, Any] = {part: value}
        return ResourceCheck(step.answers, replace(step.query, **parts))

    return add


_KINDS = "kubernetes.authorization."
AUTHORIZATION: tuple[Overload, ...] = (
    member("path", f"{_KINDS}Authorizer, string -> {_KINDS}PathCheck", _path),
    member(
        "group",
        f"{_KINDS}Authorizer, string -> {_KINDS}GroupCheck",
        lambda step, group: GroupCheck(step.answers, replace(step.query, group=group)),
    ),
    member("serviceAccount", f"{_KINDS}Authorizer, string, string -> {_KINDS}Authorizer", _service_account),
    member("resource", f"{_KINDS}GroupCheck, string -> {_KINDS}ResourceCheck", _resource),
    *(
        member(function, f"{_KINDS}ResourceCheck, string -> {_KINDS}ResourceCheck", _with(part))
        for function, part in (
            ("subresource", "subresource"),
            ("namespace", "namespace"),
            ("name", "name"),
            ("fieldSelector", "field_selector"),
            ("labelSelector", "label_selector"),
        )
    ),
    member("check", f"{_KINDS}PathCheck, string -> {_KINDS}Decision", _check),
    member("check", f"{_KINDS}ResourceCheck, string -> {_KINDS}Decision", _check),
    member("errored", f"{_KINDS}Decision -> bool", lambda decision: bool(decision.answer.error)),
    member("error", f"{_KINDS}Decision -> string", lambda decision: decision.answer.error),
    member("allowed", f"{_KINDS}Decision -> bool", lambda decision: decision.answer.allowed),
    member("reason", f"{_KINDS}Decision -> string", lambda decision: decision.answer.reason),
)
AUTHORIZER, RESOURCE_CHECK = Authorizer.cel_type, ResourceCheck.cel_type
