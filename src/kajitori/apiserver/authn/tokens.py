"""Bootstrap tokens: opaque bearer tokens by which nodes join."""

import base64
import hmac
import re

from kajitori.api import core
from kajitori.api.meta import Object, is_deleting
from kajitori.api.times import parse_timestamp
from kajitori.apiserver.interfaces import Objects, User
from kajitori.kit.clock import Clock

_BOOTSTRAP_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_BOOTSTRAP_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"


class BootstrapTokens:
    """Tokens `<id>.<secret>` kept as Secrets `kube-system/bootstrap-token-<id>`."""

    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    def authenticate(self, token: str) -> User | None:
        match = _BOOTSTRAP_TOKEN.fullmatch(token)
        if match is None:
            return None
        token_id, token_secret = match.groups()
        secret = self._objects.cached(core.SECRET, f"bootstrap-token-{token_id}", "kube-system")
        if secret is None or is_deleting(secret) or secret.get("type") != _BOOTSTRAP_TYPE:
            return None
        values = _decoded(secret)
        if not hmac.compare_digest(values.get("token-secret", ""), token_secret) or values.get("token-id") != token_id:
            return None
        if values.get("usage-bootstrap-authentication") != "true" or self._expired(values.get("expiration", "")):
            return None
        extra_groups = [g for g in values.get("auth-extra-groups", "").split(",") if g]
        if any(not _BOOTSTRAP_GROUP.fullmatch(group) for group in extra_groups):
            return None
        groups = ("system:bootstrappers", *extra_groups, "system:authenticated")
        return User(f"system:bootstrap:{token_id}", groups)

    def _expired(self, expiration: str) -> bool:
        if not expiration:
            return False
        try:
            return parse_timestamp(expiration) <= self._clock.now()
        except ValueError:
            return True


def _decoded(secret: Object) -> dict[str, str]:
    data = secret.get("data") or {}
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
