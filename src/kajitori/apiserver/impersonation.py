"""Impersonate-User and its companions: acting as someone else, where RBAC allows it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote

from kajitori.api.errors import BadRequest, Forbidden
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes, Authorizer, User, Verdict, decided

_USER, _GROUP, _UID, _EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_ALL_USERS = "system:authenticated"


async def _allowed(authorizer: Authorizer, attributes: Attributes) -> None:
    verdict, reason = await decided(authorizer, attributes)
    if verdict is not Verdict.ALLOW:
        raise Forbidden(forbidden_message(attributes, reason))


def forbidden_message(attributes: Attributes, reason: str = "") -> str:
    """`pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    user, verb = attributes.user.name, attributes.verb
    if not attributes.is_resource:
        text = f'User "{user}" cannot {verb} path "{attributes.path}"'
        return f"forbidden: {text}" + (f": {reason}" if reason else "")
    plural = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    group = attributes.group
    text = f'User "{user}" cannot {verb} resource "{plural}" in API group "{group}" {where}'
    qualified = f"{attributes.resource}.{group}" if group else attributes.resource
    subject = f'{qualified} "{attributes.name}"' if attributes.name else qualified
    return f"{subject} is forbidden: {text}" + (f": {reason}" if reason else "")


def asks_to_impersonate(headers: Mapping[str, str]) -> bool:
    """Cheap: almost no request does."""
    return _USER in headers or any(name.startswith("impersonate-") for name in headers)


async def impersonated(user: User, headers: Mapping[str, str], authorizer: Authorizer) -> User:
    """Whom the request acts as. Raises Forbidden, BadRequest."""
    if not headers.get(_USER):
        if not any(headers[name] for name in headers if name.startswith("impersonate-")):
            return user
        raise BadRequest("requested impersonation of groups, a uid or extra fields without impersonating a user")
    name = headers[_USER]
    asked = [group for group in headers.get(_GROUP, "").split("\n") if group]
    extra = {
        unquote(header[len(_EXTRA) :]): tuple(value.split("\n"))
        for header, value in headers.items()
        if header.startswith(_EXTRA)
    }
    uid = headers.get(_UID, "")
    for question in _questions(user, name, asked, uid, extra):
        await _allowed(authorizer, question)
    return User(name, _groups(name, asked), uid, extra)


def _questions(
    user: User, name: str, groups: list[str], uid: str, extra: Mapping[str, tuple[str, ...]]
) -> Iterator[Attributes]:
    ask = Attributes(user, "impersonate", version="v1")
    if account := _service_account(name):
        yield replace(ask, resource="serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield replace(ask, resource="users", name=name)
    for group in groups:
        yield replace(ask, resource="groups", name=group)
    known = replace(ask, group="authentication.k8s.io")
    if uid:
        yield replace(known, resource="uids", name=uid)
    for key, values in extra.items():
        for value in values:
            yield replace(known, resource="userextras", subresource=key, name=value)


def _groups(name: str, asked: list[str]) -> tuple[str, ...]:
    groups = list(asked)
    if not groups and (account := _service_account(name)):
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    (nobody,) = ANONYMOUS.groups
    if name == ANONYMOUS.name:
        return tuple(groups) if nobody in groups else (*groups, nobody)
    return tuple(groups) if _ALL_USERS in groups or nobody in groups else (*groups, _ALL_USERS)


def _service_account(name: str) -> tuple[str, str] | None:
    """Namespace and name."""
    if not name.startswith(_SERVICE_ACCOUNT) or name.count(":") != 3:
        return None
    namespace, account = name.removeprefix(_SERVICE_ACCOUNT).split(":")
    return (namespace, account) if namespace and account else None
