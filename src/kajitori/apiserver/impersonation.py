"""Impersonate-User and its companions: acting as someone else, where RBAC allows it."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from kajitori.api.errors import BadRequest
from kajitori.apiserver.impersonation_modes import acting
from kajitori.apiserver.interfaces import Attributes, Authorizer, User

_USER, _GROUP, _UID, _EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"


def asks_to_impersonate(headers: Mapping[str, str]) -> bool:
    """Cheap: almost no request does."""
    return _USER in headers or any(name.startswith("impersonate-") for name in headers)


async def impersonated(asked: Attributes, headers: Mapping[str, str], authorizer: Authorizer) -> tuple[User, str]:
    """Whom a request acts as, and the verb of the constrained mode that allowed it, if one did.

    `asked` is the request as its sender's own. Raises Forbidden, BadRequest.
    """
    groups = tuple(headers[_GROUP].split("\n")) if _GROUP in headers else ()
    extra = {
        unquote(header[len(_EXTRA) :]): tuple(value.split("\n"))
        for header, value in headers.items()
        if header.startswith(_EXTRA)
    }
    wanted = User(headers.get(_USER, ""), groups, headers.get(_UID, ""), extra)
    if not wanted.name:
        if not (wanted.uid or groups or extra):
            return asked.user, ""
        raise BadRequest(f"requested {_go_user(wanted)} without impersonating a user name")
    return await acting(wanted, asked, authorizer)


def _go_user(user: User) -> str:
    """As Go prints a struct."""
    groups = f"{{{_go_values(user.groups)}}}" if user.groups else "(nil)"
    extra = "(nil)"
    if user.extra:
        fields = (f'"{name}":[]string{{{_go_values(values)}}}' for name, values in sorted(user.extra.items()))
        extra = f"{{{', '.join(fields)}}}"
    said = f'Name:"", UID:"{user.uid}", Groups:[]string{groups}, Extra:map[string][]string{extra}'
    return f"&user.DefaultInfo{{{said}}}"


def _go_values(values: Sequence[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
