"""Impersonate-User and its companions: acting as someone else, where RBAC allows it."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from kajitori.api.errors import BadRequest, Forbidden
from kajitori.apiserver.interfaces import Attributes, Authorizer, User, Verdict

_USER, _GROUP, _UID, _EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_ALL_USERS = "system:authenticated"


def _allowed(authorizer: Authorizer, attributes: Attributes) -> None:
    verdict, reason = authorizer.authorize(attributes)
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


def impersonated(user: User, headers: Mapping[str, str], authorizer: Authorizer) -> User:
    """Whom the request acts as: `user`, when no header asks for another. Raises Forbidden, BadRequest."""
    if _USER not in headers:
        if any(name.startswith("impersonate-") for name in headers):
            raise BadRequest("requested impersonation of groups, a uid or extra fields without impersonating a user")
        return user
    name = headers[_USER]
    groups = [group for group in headers.get(_GROUP, "").split("\n") if group]
    extra = {
        unquote(header[len(_EXTRA) :]): tuple(value.split("\n"))
        for header, value in headers.items()
        if header.startswith(_EXTRA)
    }
    ask = Attributes(user, "impersonate", version="v1")
    if name.startswith(_SERVICE_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.removeprefix(_SERVICE_ACCOUNT).split(":")
        _allowed(authorizer, replace(ask, resource="serviceaccounts", namespace=namespace, name=account))
        if not groups:
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    else:
        _allowed(authorizer, replace(ask, resource="users", name=name))
    for group in headers.get(_GROUP, "").split("\n"):
        if group:
            _allowed(authorizer, replace(ask, resource="groups", name=group))
    if uid := headers.get(_UID, ""):
        _allowed(authorizer, replace(ask, group="authentication.k8s.io", resource="uids", name=uid))
    for key, values in extra.items():
        for value in values:
            _allowed(
                authorizer,
                replace(ask, group="authentication.k8s.io", resource="userextras", subresource=key, name=value),
            )
    if name != "system:anonymous" and _ALL_USERS not in groups:
        groups.append(_ALL_USERS)
    return User(name, tuple(groups), uid, extra)
