"""Who asks, as an API server behind this one is told: the X-Remote headers of the authenticating proxy. Pure.

Source: "Configure the aggregation layer" and "Authenticating proxy" of the Kubernetes documentation.
"""

from collections.abc import Mapping
from urllib.parse import quote

from kajitori.api.errors import BadRequest
from kajitori.apiserver.interfaces import User

_PREFIX = "x-remote-"
_KEY_CHARACTERS = "!#$&'*+-.^_`|~"
AGGREGATOR = User("system:kube-aggregator", ("system:masters",))
"""Who asks on this server's own behalf."""


def without_identity(headers: Mapping[str, str]) -> dict[str, str]:
    """A client's headers without any that would say who it is."""
    return {name: value for name, value in headers.items() if not name.startswith(_PREFIX)}


def identity_headers(user: User) -> dict[str, str | tuple[str, ...]]:
    """One line a group and a value of an extra. Raises BadRequest for what no header can carry."""
    headers: dict[str, str | tuple[str, ...]] = {"x-remote-user": _text(user.name)}
    if user.uid:
        headers["x-remote-uid"] = _text(user.uid)
    if user.groups:
        headers["x-remote-group"] = tuple(map(_text, user.groups))
    for key, values in user.extra.items():
        headers[f"x-remote-extra-{quote(key.lower(), safe=_KEY_CHARACTERS)}"] = tuple(map(_text, values))
    return headers


def _text(value: str) -> str:
    """UTF-8 as a header line carries it."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise BadRequest(f"{value!r} cannot be told to an aggregated API server: it has control characters")
    return value.encode().decode("latin-1")
