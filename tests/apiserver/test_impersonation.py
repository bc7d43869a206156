"""Acting as someone else: what has to be allowed, who one then is, and what a refusal says (KEP-5284)."""

import asyncio
from collections.abc import Mapping

import pytest

from kajitori.api.errors import BadRequest, Forbidden
from kajitori.apiserver.impersonation import impersonated
from kajitori.apiserver.interfaces import Attributes, User, Verdict

AGENT = User(
    "system:serviceaccount:ops:agent",
    ("system:serviceaccounts", "system:authenticated"),
    extra={"authentication.kubernetes.io/node-name": ("n1",), "authentication.kubernetes.io/pod-name": ("p",)},
)
KNOWN = "authentication.k8s.io"


class Allows:
    """Allows what is listed, as `verb group/resource[/subresource] [namespace/]name`; keeps what it was asked."""

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed
        self.asked: list[str] = []
        self.senders: list[User] = []

    def authorize(self, asked: Attributes) -> tuple[Verdict, str]:
        what = "/".join(part for part in (asked.group, asked.resource, asked.subresource) if part)
        name = f"{asked.namespace}/{asked.name}" if asked.namespace else asked.name
        self.asked.append(f"{asked.verb} {what} {name}".rstrip())
        self.senders.append(asked.user)
        return (Verdict.ALLOW, "") if self.asked[-1] in self._allowed else (Verdict.NO_OPINION, "")


def act(authorizer: Allows, sender: User = AGENT, **headers: str) -> tuple[User, str]:
    given: Mapping[str, str] = {f"impersonate-{name.replace('_', '-')}": value for name, value in headers.items()}
    return asyncio.run(impersonated(Attributes(sender, "list", "", "v1", "pods", namespace="team"), given, authorizer))


def test_acting_without_limits_as_it_always_was() -> None:
    authorizer = Allows(
        "impersonate users jane",
        "impersonate groups a, b",
        "impersonate groups c",
        f"impersonate {KNOWN}/uids 7",
        f"impersonate {KNOWN}/userextras/example.org/scope x",
        f"impersonate {KNOWN}/userextras/example.org/scope y",
    )
    headers = {"user": "jane", "group": "a, b\nc", "uid": "7", "extra-example.org%2fscope": "x\ny"}
    assert act(authorizer, **headers) == (
        User("jane", ("a, b", "c", "system:authenticated"), "7", {"example.org/scope": ("x", "y")}),
        "",
    )


@pytest.mark.parametrize(
    ("name", "groups", "asked"),
    [
        ("jane", ("system:authenticated",), "impersonate users jane"),
        ("system:anonymous", ("system:unauthenticated",), "impersonate users system:anonymous"),
        ("system:node:n2", ("system:authenticated",), "impersonate users system:node:n2"),
        (
            "system:serviceaccount:team:app",
            ("system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"),
            "impersonate serviceaccounts team/app",
        ),
        ("system:serviceaccount:team", ("system:authenticated",), "impersonate users system:serviceaccount:team"),
    ],
)
def test_who_one_is_then(name: str, groups: tuple[str, ...], asked: str) -> None:
    assert act(Allows(asked), user=name) == (User(name, groups), "")


@pytest.mark.parametrize(
    ("name", "mode", "who", "groups"),
    [
        ("jane", "user-info", "users jane", ("system:authenticated",)),
        (
            "system:serviceaccount:team:app",
            "serviceaccount",
            "serviceaccounts team/app",
            ("system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"),
        ),
        ("system:node:n1", "associated-node", "nodes *", ("system:nodes", "system:authenticated")),
        ("system:node:n2", "arbitrary-node", "nodes n2", ("system:nodes", "system:authenticated")),
    ],
)
def test_acting_for_this_request_only(name: str, mode: str, who: str, groups: tuple[str, ...]) -> None:
    on, as_whom = f"impersonate-on:{mode}:list pods team/", f"impersonate:{mode} {KNOWN}/{who}"
    assert act(Allows(on, as_whom), user=name) == (User(name, groups), f"impersonate:{mode}")
    for only in (on, as_whom):
        with pytest.raises(Forbidden):
            act(Allows(only), user=name)


def test_an_agent_on_every_node_is_judged_alike() -> None:
    authorizer = Allows(
        "impersonate-on:associated-node:list pods team/", f"impersonate:associated-node {KNOWN}/nodes *"
    )
    act(authorizer, user="system:node:n1")
    keys = ("authentication.kubernetes.io/node-name", "authentication.kubernetes.io/pod-name")
    assert authorizer.senders[0].extra == {"authentication.kubernetes.io/associated-node-keys": keys}
    with pytest.raises(Forbidden):
        act(authorizer, user="system:node:n2")
    with pytest.raises(Forbidden):
        act(authorizer, User("jane", extra=AGENT.extra), user="system:node:n1")


@pytest.mark.parametrize("group", ["system:masters", ""])
def test_a_constrained_mode_never_gives_the_strongest_group(group: str) -> None:
    allowed = ["impersonate-on:user-info:list pods team/"]
    allowed += [f"impersonate:user-info {KNOWN}/{what}" for what in ("users jane", f"groups {group}".rstrip())]
    with pytest.raises(Forbidden, match="is not allowed"):
        act(Allows(*allowed), user="jane", group=group)


def test_many_groups_may_be_allowed_as_one() -> None:
    allowed = ("impersonate-on:user-info:list pods team/", f"impersonate:user-info {KNOWN}/users jane")
    authorizer = Allows(*allowed, f"impersonate:user-info {KNOWN}/groups *")
    user, _ = act(authorizer, user="jane", group="a\nb\nc\nd")
    assert user.groups == ("a", "b", "c", "d", "system:authenticated")
    with pytest.raises(Forbidden):
        act(authorizer, user="jane", group="a\nb\nc")


def test_the_first_refusal_is_told() -> None:
    with pytest.raises(Forbidden) as caught:
        act(Allows(), user="jane")
    assert caught.value.status()["message"] == (
        'pods is forbidden: User "system:serviceaccount:ops:agent" cannot impersonate-on:user-info:list '
        'resource "pods" in API group "" in the namespace "team"'
    )


def test_parts_without_a_user_are_a_mistake_and_empty_ones_nothing() -> None:
    with pytest.raises(BadRequest) as refused:
        act(Allows(), group="a")
    wanted = '&user.DefaultInfo{Name:"", UID:"", Groups:[]string{"a"}, Extra:map[string][]string(nil)}'
    assert refused.value.message == f"requested {wanted} without impersonating a user name"
    assert act(Allows(), user="", uid="") == (AGENT, "")
