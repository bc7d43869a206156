"""Authorization that is asked of another server, and how it stands among the others."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kajitori.apiserver.authz.settings import RBAC, Webhook, build_authorizers, read_authorization, steps_of_modes
from kajitori.apiserver.authz.union import Always, UnionAuthorizer
from kajitori.apiserver.authz.webhook import WebhookAuthorizer, WebhookPolicy, review_spec
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.expressions import compiled
from kajitori.apiserver.interfaces import Attributes, User, Verdict, decided
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import VirtualClock

JANE = User("jane", ("dev",), "7", {"a": ("b",)})
PODS = Attributes(JANE, "list", "", "v1", "pods", "", "team", label_selector="a=b,c", field_selector="spec.nodeName=n")


class Server:
    """Answers with a status; None is no answer."""

    def __init__(self, status: dict[str, Any] | None) -> None:
        self.status = status
        self.asked: list[dict[str, Any]] = []

    async def post(self, document: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(document)
        await asyncio.sleep(0)
        if self.status is None:
            raise Unanswered("down")
        return {"status": self.status}


def ask(server: Server, attributes: Attributes = PODS, **policy: Any) -> tuple[Verdict, str]:
    return asyncio.run(decided(WebhookAuthorizer(server, VirtualClock(), WebhookPolicy(**policy)), attributes))


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ({"allowed": True, "reason": "r"}, Verdict.ALLOW),
        ({"allowed": False, "reason": "r"}, Verdict.NO_OPINION),
        ({"allowed": False, "denied": True, "reason": "r"}, Verdict.DENY),
        ({"allowed": True, "denied": True, "reason": "r"}, Verdict.DENY),
        ({"allowed": "true", "reason": "r"}, Verdict.NO_OPINION),
    ],
)
def test_answers(status: dict[str, Any], verdict: Verdict) -> None:
    assert ask(Server(status)) == (verdict, "r")


def test_no_answer_counts_as_the_policy_says() -> None:
    assert ask(Server(None)) == (Verdict.NO_OPINION, "")
    assert ask(Server(None), on_failure=Verdict.DENY) == (Verdict.DENY, "")


def test_what_the_server_is_told() -> None:
    server = Server({"allowed": True})
    ask(server)
    assert server.asked[0]["kind"] == "SubjectAccessReview"
    assert server.asked[0]["spec"] == {
        "user": "jane",
        "uid": "7",
        "groups": ["dev"],
        "extra": {"a": ["b"]},
        "resourceAttributes": {
            "namespace": "team",
            "verb": "list",
            "version": "v1",
            "resource": "pods",
            "labelSelector": {
                "requirements": [
                    {"key": "a", "operator": "In", "values": ["b"]},
                    {"key": "c", "operator": "Exists"},
                ]
            },
            "fieldSelector": {"requirements": [{"key": "spec.nodeName", "operator": "In", "values": ["n"]}]},
        },
    }
    path = Attributes(User("x"), "get", path="/metrics")
    assert review_spec(path) == {"user": "x", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}


def test_yes_is_remembered_longer_than_no_and_many_who_ask_at_once_ask_once() -> None:
    async def main() -> None:
        clock, server = VirtualClock(), Server({"allowed": True})
        webhook = WebhookAuthorizer(server, clock, WebhookPolicy(authorized_s=300, unauthorized_s=30))
        await asyncio.gather(*(decided(webhook, PODS) for _ in range(10)))
        assert len(server.asked) == 1
        assert webhook.authorize(PODS) == (Verdict.ALLOW, "")
        await clock.advance(301)
        assert webhook.authorize(PODS)[0] is Verdict.ASK
        server.status = {"allowed": False}
        await decided(webhook, PODS)
        assert webhook.authorize(PODS)[0] is Verdict.NO_OPINION
        await clock.advance(31)
        assert webhook.authorize(PODS)[0] is Verdict.ASK
        long = Attributes(JANE, "get", path="/" + "x" * 10_001)
        await decided(webhook, long)
        assert webhook.authorize(long)[0] is Verdict.ASK

    asyncio.run(main())


def test_memory_answers_first_and_a_denial_before_rbac_stands() -> None:
    async def main() -> None:
        server = Server({"denied": True, "allowed": False, "reason": "never"})
        webhook = WebhookAuthorizer(server, VirtualClock(), WebhookPolicy())
        allow = Always(Verdict.ALLOW, "memory")
        after = UnionAuthorizer([allow, webhook])
        assert after.authorize(PODS) == (Verdict.ALLOW, "memory")
        assert server.asked == []
        before = UnionAuthorizer([webhook, allow])
        assert before.authorize(PODS)[0] is Verdict.ASK
        assert await decided(before, PODS) == (Verdict.DENY, "never")
        assert before.authorize(PODS) == (Verdict.DENY, "never")

    asyncio.run(main())


KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1/authorize"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
CONFIGURATION = """
apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: Webhook
  name: first
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: Deny
    unauthorizedTTL: 10s
    cacheAuthorizedRequests: false
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: FILE}
    matchConditions:
    - expression: has(request.resourceAttributes)
    - expression: request.resourceAttributes.namespace == 'team'
- {type: Node, name: node}
- {type: RBAC, name: rbac}
"""


def read(folder: Path, text: str = CONFIGURATION) -> Any:
    (folder / "webhook.kubeconfig").write_text(KUBECONFIG)
    (folder / "authorization.yaml").write_text(text.replace("FILE", str(folder / "webhook.kubeconfig")))
    return read_authorization(folder / "authorization.yaml", compiled)


def test_a_configuration_orders_the_authorizers(tmp_path: Path) -> None:
    steps = read(tmp_path)
    webhook, *rest = steps
    assert rest == ["Node", "RBAC"]
    assert isinstance(webhook, Webhook)
    policy = webhook.policy
    assert (webhook.timeout_s, policy.name, policy.on_failure) == (3.0, "first", Verdict.DENY)
    assert (policy.authorized_s, policy.unauthorized_s) == (0, 10.0)


def test_match_conditions_keep_requests_from_the_webhook(tmp_path: Path) -> None:
    (webhook, *_) = read(tmp_path)
    server = Server({"allowed": True})
    authorizer = WebhookAuthorizer(server, VirtualClock(), webhook.policy)
    elsewhere = Attributes(JANE, "get", "", "v1", "pods", namespace="other")
    assert authorizer.authorize(elsewhere) == (Verdict.NO_OPINION, "")
    assert authorizer.authorize(Attributes(JANE, "get", path="/x")) == (Verdict.NO_OPINION, "")
    assert authorizer.authorize(Attributes(JANE, "get", "", "v1", "nodes")) == (Verdict.DENY, "")  # no such key
    assert authorizer.authorize(PODS)[0] is Verdict.ASK


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("timeout: 3s", "timeout: 31s", "authorizers[0].webhook.timeout: required: more than 0 and at most 30s"),
        ("timeout: 3s", "timeout: soon", "authorizers[0].webhook.timeout: 'soon': must be a duration"),
        ("Deny", "Allow", "authorizers[0].webhook.failurePolicy: 'Allow': must be one of NoOpinion, Deny"),
        ("type: RBAC", "type: Node", "authorizers[2].name: Node 'rbac': given twice"),
        ("type: RBAC", "type: ABAC", "authorizers[2].type: 'ABAC': must be one of Node, RBAC"),
        ("== 'team'", "==", "authorizers[0].webhook.matchConditions[1].expression: no valid expression: 1:"),
        (
            "FILE",
            "relative",
            "authorizers[0].webhook.connectionInfo.kubeConfigFile: relative: must be an absolute path",
        ),
        ("unauthorizedTTL", "unauthorisedTTL", "authorizers[0].webhook.unauthorisedTTL: unknown field"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, before: str, after: str, place: str) -> None:
    assert before in CONFIGURATION
    with pytest.raises(BadConfiguration) as caught:
        read(tmp_path, CONFIGURATION.replace(before, after, 1))
    assert str(caught.value).startswith(f"{tmp_path}/authorization.yaml: {place}")


def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    from kajitori.apiserver.authz.settings import AuthorizationSettings

    missing = tmp_path / "missing"
    settings = AuthorizationSettings(steps_of_modes(["RBAC", "Webhook"], Webhook(kubeconfig=missing)))
    with pytest.raises(BadConfiguration, match=f"^{missing}: "):
        build_authorizers(settings, {RBAC: Always(Verdict.NO_OPINION)}, VirtualClock())
