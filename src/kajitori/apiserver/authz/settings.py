"""Who decides, in which order, as flags or an AuthorizationConfiguration say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kajitori.apiserver.authn.settings import GROUP, VERSIONS, Compile
from kajitori.apiserver.authz.node import node_of
from kajitori.apiserver.authz.union import Always, PrivilegedGroup
from kajitori.apiserver.authz.webhook import Condition, WebhookAuthorizer, WebhookPolicy
from kajitori.apiserver.configuration import BadConfiguration, Section
from kajitori.apiserver.interfaces import Authorizer, User, Verdict
from kajitori.apiserver.remote import ReviewCaller
from kajitori.kit.clock import Clock

NODE, RBAC, WEBHOOK, ALLOW, DENY = "Node", "RBAC", "Webhook", "AlwaysAllow", "AlwaysDeny"
MODES = (NODE, RBAC, WEBHOOK, ALLOW, DENY)
NO_RULES = "webhook authorizer does not support user rule resolution"
_ALWAYS = {ALLOW: Always(Verdict.ALLOW), DENY: Always(Verdict.NO_OPINION, "Everything is forbidden.")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A SubjectAccessReview webhook: its kubeconfig, and how its answers count."""

    kubeconfig: Path
    timeout_s: float = 30.0
    policy: WebhookPolicy = field(default_factory=WebhookPolicy)


Step = str | Webhook
"""One of MODES but Webhook, or a webhook."""


@dataclass(frozen=True, slots=True)
class AuthorizationSettings:
    steps: tuple[Step, ...] = (NODE, RBAC)

    def incomplete(self, user: User) -> list[str]:
        """Why a review of rules cannot tell all of a user's; empty when it can."""
        found = (
            ["node authorizer does not support user rule resolution"] if NODE in self.steps and node_of(user) else []
        )
        return [*found, *(NO_RULES for step in self.steps if isinstance(step, Webhook))]


def build_authorizers(
    settings: AuthorizationSettings, in_memory: Mapping[str, Authorizer], clock: Clock
) -> tuple[list[Authorizer], list[ReviewCaller]]:
    """The authorizers in their order, and what has to be closed when they are not used any more. `in_memory` holds Node
    and RBAC. system:masters come first, whatever is configured. Raises BadConfiguration."""
    authorizers: list[Authorizer] = [PrivilegedGroup()]
    callers: list[ReviewCaller] = []
    for step in settings.steps:
        if isinstance(step, Webhook):
            caller = ReviewCaller(step.kubeconfig, clock, step.timeout_s)
            callers.append(caller)
            authorizers.append(WebhookAuthorizer(caller, clock, step.policy))
        else:
            authorizers.append(in_memory.get(step) or _ALWAYS[step])
    return authorizers, callers


def steps_of_modes(modes: Sequence[str], webhook: Webhook | None) -> tuple[Step, ...]:
    """What --authorization-mode means. Raises BadConfiguration."""
    steps: list[Step] = []
    for mode in modes:
        if mode not in MODES:
            raise BadConfiguration(f"--authorization-mode {mode}: unknown; choose from {', '.join(MODES)}")
        if modes.count(mode) > 1:
            raise BadConfiguration(f"--authorization-mode {mode}: given twice; name each once")
        if mode != WEBHOOK:
            steps.append(mode)
        elif webhook is None:
            raise BadConfiguration("--authorization-mode Webhook: needs --authorization-webhook-config-file too")
        else:
            steps.append(webhook)
    if webhook is not None and WEBHOOK not in modes:
        raise BadConfiguration("--authorization-webhook-config-file: add Webhook to --authorization-mode too")
    return tuple(steps)


def read_authorization(path: Path, compiled: Compile) -> tuple[Step, ...]:
    """The steps of an AuthorizationConfiguration. Raises BadConfiguration."""
    top = Section.load(path, "AuthorizationConfiguration", GROUP, VERSIONS)
    top.only("apiVersion", "kind", "authorizers")
    steps: list[Step] = []
    names: set[str] = set()
    for section in top.sections("authorizers"):
        kind = section.only("type", "name", "webhook").text("type", required=True, one_of=MODES)
        name = section.text("name", required=True)
        if name in names or (kind != WEBHOOK and kind in steps):
            raise section.error("name", f"{kind} {name!r}: given twice; each type but Webhook, and each name, once")
        names.add(name)
        if kind != WEBHOOK and section.has("webhook"):
            raise section.error("webhook", "goes with the type Webhook only")
        steps.append(_webhook(section.section("webhook"), name, compiled) if kind == WEBHOOK else kind)
    if not steps:
        raise top.error("authorizers", "required: at least one")
    return tuple(steps)


_FIELDS = (
    "authorizedTTL",
    "cacheAuthorizedRequests",
    "unauthorizedTTL",
    "cacheUnauthorizedRequests",
    "timeout",
    "subjectAccessReviewVersion",
    "matchConditionSubjectAccessReviewVersion",
    "failurePolicy",
    "connectionInfo",
    "matchConditions",
)


def _webhook(section: Section, name: str, compiled: Compile) -> Webhook:
    section.only(*_FIELDS)
    timeout_s = section.seconds("timeout", 0.0)
    if not 0 < timeout_s <= 30:
        raise section.error("timeout", "required: more than 0 and at most 30s")
    section.text("subjectAccessReviewVersion", required=True, one_of=("v1",))
    failure = section.text("failurePolicy", required=True, one_of=("NoOpinion", "Deny"))
    connection = section.section("connectionInfo").only("type", "kubeConfigFile")
    connection.text("type", required=True, one_of=("KubeConfigFile",))
    kubeconfig = Path(connection.text("kubeConfigFile", required=True))
    if not kubeconfig.is_absolute():
        raise connection.error("kubeConfigFile", f"{kubeconfig}: must be an absolute path")
    conditions = [_condition(where, compiled) for where in section.sections("matchConditions")]
    if conditions:
        section.text("matchConditionSubjectAccessReviewVersion", required=True, one_of=("v1",))
    return Webhook(
        kubeconfig=kubeconfig,
        timeout_s=timeout_s,
        policy=WebhookPolicy(
            name=name,
            on_failure=Verdict.DENY if failure == "Deny" else Verdict.NO_OPINION,
            authorized_s=section.seconds("authorizedTTL", 300.0)
            if section.flag("cacheAuthorizedRequests", True)
            else 0,
            unauthorized_s=(
                section.seconds("unauthorizedTTL", 30.0) if section.flag("cacheUnauthorizedRequests", True) else 0
            ),
            conditions=conditions,
        ),
    )


def _condition(section: Section, compiled: Compile) -> Condition:
    text = section.only("expression").text("expression", required=True)
    try:
        program = compiled(text, ("request",))
    except ValueError as error:
        raise section.error("expression", f"no valid expression: {error}") from error

    def holds(spec: dict[str, object]) -> bool:
        return program({"request": spec}) is True

    return holds
