"""Impersonate-User and its companions: acting as someone else, where RBAC allows it."""

from collections.abc import Mapping
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
        raise BadRequest("requested impersonation of groups, a uid or extra fields without impersonating a user")
    return await acting(wanted, asked, authorizer)
