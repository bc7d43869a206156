"""Service account tokens: JSON Web Tokens signed by this server, bound to live objects.

A signature is checked once and remembered; the objects a token is bound to are looked at every time, so that a token
dies with its service account, pod, secret or node (KEP-1205, KEP-4193).
"""

import base64
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from kajitori.api import core
from kajitori.api.errors import NotFound, Unauthorized
from kajitori.api.meta import Object, is_deleting, name_of, uid_of
from kajitori.api.resource import Resource
from kajitori.api.times import parse_timestamp
from kajitori.apiserver.authn.keyring import Keyring, SigningKey
from kajitori.apiserver.authn.x509 import CREDENTIAL_ID
from kajitori.apiserver.interfaces import Objects, User
from kajitori.kit.clock import Clock

LEGACY_ISSUER = "kubernetes/serviceaccount"
_CACHED_MAX = 4096
# A pod that is being deleted keeps its token this long after its deletion time.
_DELETION_LEEWAY_S = 60.0
_LEGACY = "kubernetes.io/serviceaccount/"
# Times and audiences are looked at on every use, not only when the signature is.
_ONLY_SIGNATURE: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
_BOUND: dict[str, Resource] = {"pod": core.POD, "secret": core.SECRET, "node": core.NODE}
_POD_NAME, _POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"
_NODE_NAME, _NODE_UID = "authentication.kubernetes.io/node-name", "authentication.kubernetes.io/node-uid"


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Signs tokens for service accounts."""

    key: SigningKey
    issuer: str

    def issue(
        self,
        account: Object,
        audiences: Sequence[str],
        lifetime_s: int,
        now_s: float,
        bound: Object | None = None,
        node: Object | None = None,
        warn_after_s: int | None = None,
    ) -> str:
        """A token for `account`, bound to `bound` (a Pod, Secret or Node) and, through a pod, to its node."""
        meta = account["metadata"]
        claims: dict[str, Any] = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        if bound is not None:
            claims[bound["kind"].lower()] = {"name": name_of(bound), "uid": uid_of(bound)}
        if node is not None:
            claims["node"] = {"name": name_of(node), "uid": uid_of(node)}
        now = int(now_s)
        if warn_after_s is not None:
            claims["warnafter"] = now + warn_after_s
        payload = {
            "aud": list(audiences),
            "exp": now + lifetime_s,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": claims,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return jwt.encode(payload, self.key.private, algorithm=self.key.algorithm, headers={"kid": self.key.id})

    def issue_legacy(self, account: Object, secret: Object) -> str:
        """The token without expiry that a Secret of type kubernetes.io/service-account-token holds."""
        meta = account["metadata"]
        payload = {
            "iss": LEGACY_ISSUER,
            f"{_LEGACY}namespace": meta["namespace"],
            f"{_LEGACY}secret.name": name_of(secret),
            f"{_LEGACY}service-account.name": meta["name"],
            f"{_LEGACY}service-account.uid": meta["uid"],
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return jwt.encode(payload, self.key.private, algorithm=self.key.algorithm, headers={"kid": self.key.id})


class ServiceAccountAuthenticator:
    """Checks tokens of these issuers. Remembers the claims of the last 4096 tokens whose signature held."""

    def __init__(
        self, keys: Keyring, issuers: Sequence[str], audiences: Sequence[str], objects: Objects, clock: Clock
    ) -> None:
        self._keys = keys
        self._issuers = frozenset((*issuers, LEGACY_ISSUER))
        self.audiences = tuple(audiences)
        self._objects = objects
        self._clock = clock
        self._verified: OrderedDict[bytes, Object] = OrderedDict()

    async def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, tuple[str, ...]] | None:
        """The user and the audiences that token and question share; None when it is no token of this issuer.

        Raises Unauthorized when it is one, but does not hold.
        """
        digest = hashlib.sha256(token.encode()).digest()
        if digest not in self._verified and (token.count(".") != 2 or not self._is_ours(token)):
            return None
        claims = self._verify(token, digest)
        if claims["iss"] == LEGACY_ISSUER:
            return await self._legacy_user(token, claims), tuple(audiences or self.audiences)
        shared = tuple(a for a in claims.get("aud") or () if a in (audiences or self.audiences))
        if not shared:
            raise Unauthorized()
        return await self._bound_user(claims), shared

    def _is_ours(self, token: str) -> bool:
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return False
        issuer = claims.get("iss")
        return isinstance(issuer, str) and issuer in self._issuers

    def _verify(self, token: str, digest: bytes) -> Object:
        claims = self._verified.get(digest)
        if claims is None:
            claims = self._signed(token)
            self._verified[digest] = claims
            if len(self._verified) > _CACHED_MAX:
                self._verified.popitem(last=False)
        now = self._clock.now()
        # A legacy token has neither; a bound one always has both.
        if claims["iss"] != LEGACY_ISSUER and not claims.get("nbf", 0) <= now + 1 <= claims.get("exp", 0) + 1:
            raise Unauthorized()
        return claims

    def _signed(self, token: str) -> Object:
        """The claims, when one of the keys signed them."""
        try:
            candidates = self._keys.candidates(jwt.get_unverified_header(token).get("kid"))
        except jwt.PyJWTError as error:
            raise Unauthorized() from error
        for key in candidates:
            try:
                claims: Object = jwt.decode(token, key.public, algorithms=[key.algorithm], options=_ONLY_SIGNATURE)
                return claims
            except jwt.PyJWTError:
                continue
        raise Unauthorized()

    async def _bound_user(self, claims: Object) -> User:
        private = claims.get("kubernetes.io") or {}
        namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
        await self._live(core.SERVICE_ACCOUNT, account, namespace)
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        pod, node = private.get("pod"), private.get("node")
        for kind, resource in _BOUND.items():
            # A pod's node is told, but the token does not die with the node's object.
            if private.get(kind) and not (kind == "node" and pod):
                await self._live(resource, private[kind], namespace if resource.namespaced else "")
        if pod:
            extra |= {_POD_NAME: (pod["name"],), _POD_UID: (pod["uid"],)}
        if node:
            extra |= {_NODE_NAME: (node["name"],), _NODE_UID: (node.get("uid", ""),)}
        return service_account_user(namespace, account["name"], account["uid"], extra)

    async def _legacy_user(self, token: str, claims: Object) -> User:
        namespace = claims.get(f"{_LEGACY}namespace", "")
        secret_name = claims.get(f"{_LEGACY}secret.name", "")
        account = {
            "name": claims.get(f"{_LEGACY}service-account.name", ""),
            "uid": claims.get(f"{_LEGACY}service-account.uid", ""),
        }
        secret = await self._find(core.SECRET, secret_name, namespace)
        stored = (secret.get("data") or {}).get("token", "")
        if is_deleting(secret) or base64.b64decode(stored) != token.encode():
            raise Unauthorized()
        await self._live(core.SERVICE_ACCOUNT, account, namespace)
        return service_account_user(namespace, account["name"], account["uid"], {})

    async def _live(self, resource: Resource, reference: Object, namespace: str) -> None:
        found = await self._find(resource, reference.get("name", ""), namespace, reference.get("uid", ""))
        deleted = found["metadata"].get("deletionTimestamp")
        if uid_of(found) != reference.get("uid"):
            raise Unauthorized()
        if deleted and parse_timestamp(deleted) + _DELETION_LEEWAY_S < self._clock.now():
            raise Unauthorized()

    async def _find(self, resource: Resource, name: str, namespace: str, uid: str = "") -> Object:
        """From memory, and from the store when memory may lag behind a token that has just been made."""
        found = self._objects.cached(resource, name, namespace)
        if found is not None and (not uid or uid_of(found) == uid):
            return found
        try:
            return await self._objects.get(resource, name, namespace)
        except NotFound:
            raise Unauthorized() from None


def service_account_user(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]]) -> User:
    """The user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra)
