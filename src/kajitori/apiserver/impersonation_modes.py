"""How much of acting as someone else is allowed: for the request at hand (KEP-5284), or, as it always was, for all.

A constrained mode asks two things: may the sender do this very request while acting (`impersonate-on:<mode>:<verb>`),
and may he act as that user (`impersonate:<mode>`)? The modes that fit are tried in their order, the unconstrained one
last; when all refuse, the first refusal is told.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from kajitori.api.errors import Forbidden
from kajitori.apiserver.authn.service_accounts import NODE_NAME
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes, Authorizer, User, Verdict, decided
from kajitori.apiserver.refusals import forbidden

_NODE, _ACCOUNT = "system:node:", "system:serviceaccount:"
_KNOWN = "authentication.k8s.io"
_AUTHENTICATED = "system:authenticated"
_ASSOCIATED = "associated-node"
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_MANY = 4
"""From so many groups or extra values on, one question about all of them is tried before one for each."""


async def acting(wanted: User, asked: Attributes, authorizer: Authorizer) -> tuple[User, str]:
    """The whole user, and the verb of the constrained mode that allowed it. Raises Forbidden."""
    refused: Forbidden | None = None
    for mode, fits in _MODES:
        if not fits(wanted, asked.user):
            continue
        verb, sender = f"impersonate:{mode}", _sender(mode, asked.user)
        try:
            on = replace(asked, user=sender, verb=f"impersonate-on:{mode}:{asked.verb}")
            await _allowed(authorizer, on)
            return await _user(wanted, Attributes(sender, verb, _KNOWN, "v1"), authorizer), verb
        except Forbidden as error:
            refused = refused or error
    try:
        return await _user(wanted, Attributes(asked.user, "impersonate", version="v1"), authorizer), ""
    except Forbidden as error:
        raise refused or error from None


def _sender(mode: str, user: User) -> User:
    """Of an agent that acts as its own node, authorization sees which extra keys it has, not their values: the answer
    is the same on every node."""
    if mode != _ASSOCIATED:
        return user
    return replace(user, extra={"authentication.kubernetes.io/associated-node-keys": tuple(sorted(user.extra))})


def node_name(username: str) -> str:
    """Empty when it is no node's."""
    name = username.removeprefix(_NODE)
    return name if name != username and _SUBDOMAIN.fullmatch(name) else ""


def account_name(username: str) -> tuple[str, str] | None:
    """Namespace and name; None when it is no service account's."""
    parts = username.removeprefix(_ACCOUNT).split(":")
    if not username.startswith(_ACCOUNT) or len(parts) != 2 or not all(map(_SUBDOMAIN.fullmatch, parts)):
        return None
    return parts[0], parts[1]


def _name_alone(wanted: User) -> bool:
    return not (wanted.uid or wanted.groups or wanted.extra)


def _own_node(wanted: User, sender: User) -> bool:
    """A service account's token tells the node of the pod that it is bound to."""
    name = node_name(wanted.name)
    told = account_name(sender.name) is not None and sender.extra.get(NODE_NAME) == (name,)
    return bool(name) and _name_alone(wanted) and told


_MODES: Sequence[tuple[str, Callable[[User, User], bool]]] = (
    (_ASSOCIATED, _own_node),
    ("arbitrary-node", lambda wanted, _: _name_alone(wanted) and bool(node_name(wanted.name))),
    ("serviceaccount", lambda wanted, _: _name_alone(wanted) and account_name(wanted.name) is not None),
    ("user-info", lambda wanted, _: not node_name(wanted.name) and account_name(wanted.name) is None),
)


async def _allowed(authorizer: Authorizer, attributes: Attributes) -> None:
    verdict, reason = await decided(authorizer, attributes)
    if verdict is not Verdict.ALLOW:
        raise forbidden(attributes, reason)


async def _user(wanted: User, ask: Attributes, authorizer: Authorizer) -> User:
    """Asks for every field. `ask` has the sender and the verb, and the group that users and groups belong to."""
    constrained = ask.verb != "impersonate"
    await _allowed(authorizer, _about_name(wanted.name, ask))
    known = replace(ask, group=_KNOWN)
    if wanted.uid:
        await _allowed(authorizer, replace(known, resource="uids", name=wanted.uid))
    groups = [replace(ask, resource="groups", name=group) for group in wanted.groups]
    extra = list(_about_extra(wanted.extra, replace(known, resource="userextras")))
    if constrained:
        _refuse_what_is_never_allowed(wanted, ask)
    for questions, all_of_them in (
        (groups, replace(ask, resource="groups", name="*")),
        (extra, replace(known, resource="userextras", subresource="*", name="*")),
    ):
        if constrained and len(questions) >= _MANY and (await decided(authorizer, all_of_them))[0] is Verdict.ALLOW:
            continue
        for question in questions:
            await _allowed(authorizer, question)
    return User(wanted.name, _groups(wanted, constrained=constrained), wanted.uid, wanted.extra)


def _about_name(username: str, ask: Attributes) -> Attributes:
    if (name := node_name(username)) and ask.verb != "impersonate":
        return replace(ask, resource="nodes", name="*" if ask.verb == f"impersonate:{_ASSOCIATED}" else name)
    if account := account_name(username):
        return replace(ask, resource="serviceaccounts", namespace=account[0], name=account[1])
    return replace(ask, resource="users", name=username)


def _about_extra(extra: Mapping[str, tuple[str, ...]], ask: Attributes) -> Iterator[Attributes]:
    for key, values in extra.items():
        for value in values:
            yield replace(ask, subresource=key, name=value)


def _refuse_what_is_never_allowed(wanted: User, ask: Attributes) -> None:
    groups, extra = replace(ask, resource="groups"), replace(ask, group=_KNOWN, resource="userextras")
    if "" in wanted.groups:
        raise forbidden(groups, "impersonating the empty string group is not allowed")
    if "system:masters" in wanted.groups:
        why = "impersonating the system:masters group is not allowed"
        raise forbidden(replace(groups, name="system:masters"), why)
    for key, values in wanted.extra.items():
        domain, slash, path = key.partition("/")
        if not slash or not path or not _SUBDOMAIN.fullmatch(domain):
            raise forbidden(extra, f"impersonating an invalid key in extra is not allowed: {key!r}")
        if "" in values:
            raise forbidden(extra, "impersonating the empty string value in extra is not allowed")


def _groups(wanted: User, *, constrained: bool) -> tuple[str, ...]:
    groups = wanted.groups
    if constrained and node_name(wanted.name):
        groups = ("system:nodes",)
    elif not groups and (account := account_name(wanted.name)):
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")
    (nobody,) = ANONYMOUS.groups
    if wanted.name == ANONYMOUS.name:
        return groups if nobody in groups else (*groups, nobody)
    return groups if _AUTHENTICATED in groups or nobody in groups else (*groups, _AUTHENTICATED)
