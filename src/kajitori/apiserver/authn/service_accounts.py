"""Service account tokens: JSON Web Tokens signed by this server, bound to live objects.

A signature is checked once and remembered; the objects a token is bound to are looked at every time, so that a token
dies with its service account, pod, secret or node (KEP-1205, KEP-4193).
"""

import base64
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
NODE_NAME, _NODE_UID = "authentication.kubernetes.io/node-name", "authentication.kubernetes.io/node-uid"


_INVALIDATED = "service account token has been invalidated"


class NotHeld(Unauthorized):
    """A token of ours that does not hold. A review says why; whoever brings it is told no more than a stranger."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


def go_list(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


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
        token_id: str = "",
    ) -> str:
        """A token for `account`, bound to `bound` (a Pod, Secret or Node) and, through a pod, to its node. `token_id`
        names it; one is made up where none is given."""
        meta = account["metadata"]
        claims: dict[str, Any] = {
            "namespace": meta["namespace"],
            "serviceaccount": {"name": meta["name"], "uid": meta["uid"]},
        }
        if bound is not None:
            claims[bound["kind"].lower()] = {"name": name_of(bound), "uid": uid_of(bound)}
        if node is not None:
            claims["node"] = {field: node["metadata"][field] for field in ("name", "uid") if field in node["metadata"]}
        now = int(now_s)
        if warn_after_s is not None:
            claims["warnafter"] = now + warn_after_s
        payload = {
            "aud": list(audiences),
            "exp": now + lifetime_s,
            "iat": now,
            "iss": self.issuer,
            "jti": token_id or str(uuid.uuid4()),
            "kubernetes.io": claims,
            "nbf": now,
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
        }
        return jwt.encode(
            payload, self.key.private, algorithm=self.key.algorithm, headers={"kid": self.key.id, "typ": ""}
        )

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
        return jwt.encode(
            payload, self.key.private, algorithm=self.key.algorithm, headers={"kid": self.key.id, "typ": ""}
        )


class _Bound(NamedTuple):
    """An object without which a token is void."""

    resource: Resource
    name: str
    namespace: str
    uid: str


class _Accepted(NamedTuple):
    user: User
    begins_s: float
    ends_s: float
    bound: tuple[_Bound, ...]


def _bound_by(claims: Object) -> Iterator[_Bound]:
    """The service account, and what else the token names; of a pod's node it tells, but it does not die with it."""
    private = claims.get("kubernetes.io") or {}
    namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
    yield _Bound(core.SERVICE_ACCOUNT, account.get("name", ""), namespace, account.get("uid", ""))
    for kind, resource in _BOUND.items():
        if (named := private.get(kind)) and not (kind == "node" and private.get("pod")):
            where = namespace if resource.namespaced else ""
            yield _Bound(resource, named.get("name", ""), where, named.get("uid", ""))


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
        self._accepted: OrderedDict[str, _Accepted] = OrderedDict()

    def remembered(self, token: str) -> User | None:
        """The user of a bound token that was accepted for this server, while everything it is bound to stands
        unchanged in memory; None when that has to be looked at again."""
        accepted = self._accepted.get(token)
        if accepted is None:
            return None
        if accepted.begins_s <= self._clock.now() <= accepted.ends_s and all(map(self._stands, accepted.bound)):
            return accepted.user
        del self._accepted[token]
        return None

    def _stands(self, bound: _Bound) -> bool:
        found = self._objects.cached(bound.resource, bound.name, bound.namespace)
        return found is not None and found["metadata"]["uid"] == bound.uid and not is_deleting(found)

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
        named, wanted = claims.get("aud") or (), audiences or self.audiences
        shared = tuple(audience for audience in named if audience in wanted)
        if not shared:
            raise NotHeld(f"token audiences {go_list(named)} is invalid for the target audiences {go_list(wanted)}")
        user = await self._bound_user(claims)
        if not audiences:
            begins_s, ends_s = claims.get("nbf", 0) - 1, claims.get("exp", 0) + 1
            self._accepted[token] = _Accepted(user, begins_s, ends_s, tuple(_bound_by(claims)))
            if len(self._accepted) > _CACHED_MAX:
                self._accepted.popitem(last=False)
        return user, shared

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
        if claims["iss"] != LEGACY_ISSUER:
            if now > claims.get("exp", 0):
                raise NotHeld("service account token has expired")
            if now + 1 < claims.get("nbf", 0):
                raise NotHeld("service account token is not valid yet")
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
        raise NotHeld("go-jose/go-jose: error in cryptographic primitive")

    async def _bound_user(self, claims: Object) -> User:
        for bound in _bound_by(claims):
            await self._live(bound)
        private = claims["kubernetes.io"]
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        pod, node = private.get("pod"), private.get("node")
        if pod:
            extra |= {_POD_NAME: (pod["name"],), _POD_UID: (pod["uid"],)}
        if node:
            extra[NODE_NAME] = (node["name"],)
            if node.get("uid"):
                extra[_NODE_UID] = (node["uid"],)
        account = private["serviceaccount"]
        return service_account_user(private["namespace"], account["name"], account["uid"], extra)

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
            raise NotHeld(_INVALIDATED)
        await self._live(_Bound(core.SERVICE_ACCOUNT, account["name"], namespace, account["uid"]))
        return service_account_user(namespace, account["name"], account["uid"], {})

    async def _live(self, bound: _Bound) -> None:
        found = await self._find(bound.resource, bound.name, bound.namespace, bound.uid)
        deleted = found["metadata"].get("deletionTimestamp")
        if deleted and parse_timestamp(deleted) + _DELETION_LEEWAY_S < self._clock.now():
            raise NotHeld(_INVALIDATED)
        if uid_of(found) != bound.uid:
            kind = bound.resource.kind.lower()
            claim = f"service account {kind} ref claim"
            if bound.resource is core.SERVICE_ACCOUNT:
                kind, claim = "service account", "claim"
            raise NotHeld(f"{kind} UID ({uid_of(found)}) does not match {claim} ({bound.uid})")

    async def _find(self, resource: Resource, name: str, namespace: str, uid: str = "") -> Object:
        """From memory, and from the store when memory may lag behind a token that has just been made."""
        found = self._objects.cached(resource, name, namespace)
        if found is not None and (not uid or uid_of(found) == uid):
            return found
        try:
            return await self._objects.get(resource, name, namespace)
        except NotFound as error:
            gone = error.message if resource is core.SERVICE_ACCOUNT else _INVALIDATED
            raise NotHeld(gone) from None


def service_account_user(namespace: str, name: str, uid: str, extra: dict[str, tuple[str, ...]]) -> User:
    """The user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid, extra)
