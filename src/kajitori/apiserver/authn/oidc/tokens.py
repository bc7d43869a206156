"""Checks ID tokens of one issuer: signature, time, audience, then what its claims say."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from kajitori.api.errors import Unauthorized
from kajitori.api.meta import Object
from kajitori.apiserver.authn.chain import Found
from kajitori.apiserver.authn.oidc.claims import ClaimRefused, Mappings, user_of
from kajitori.apiserver.authn.oidc.keys import IssuerKeys
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
_EARLY_S = 300.0
"""How far ahead of ours an issuer's clock may be when it says from when on a token holds (as upstream has it)."""
_UNVERIFIED: Any = {"verify_signature": False}
_ONLY_SIGNATURE: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """`authority` is PEM, empty for what the machine trusts."""

    url: str
    audiences: tuple[str, ...]
    mappings: Mappings
    algorithms: tuple[str, ...] = ALGORITHMS
    discovery_url: str = ""
    authority: bytes = b""


class IdTokens:
    """`audiences` are this server's own."""

    def __init__(self, issuer: Issuer, keys: IssuerKeys, audiences: Sequence[str], clock: Clock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._audiences = tuple(audiences)
        self._clock = clock

    async def authenticate(self, token: str, audiences: Sequence[str] = ()) -> Found | None:
        try:
            # Not verified yet: it only says whose token this claims to be.
            unverified = jwt.decode(token, options=_UNVERIFIED)
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            return None
        if unverified.get("iss") != self._issuer.url:
            return None
        try:
            claims = await self._verified(token, header)
            self._check(claims)
            user = user_of(claims, self._issuer.mappings)
        except (ClaimRefused, Unanswered) as error:
            log.info("a token of %s is refused: %s", self._issuer.url, error)
            raise Unauthorized() from error
        shared = tuple(a for a in audiences if a in self._audiences) if audiences else self._audiences
        if not shared:
            raise Unauthorized()
        return user, shared

    async def _verified(self, token: str, header: Object) -> Object:
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self._issuer.algorithms:
            raise ClaimRefused(f"signed with {algorithm}")
        for key in await self._keys.candidates(key_id if isinstance(key_id, str) else None):
            try:
                claims: Object = jwt.decode(token, key.key, algorithms=[algorithm], options=_ONLY_SIGNATURE)
                return claims
            except (jwt.PyJWTError, TypeError, ValueError):
                continue
        raise ClaimRefused("no key of the issuer signed it")

    def _check(self, claims: Object) -> None:
        now_s = self._clock.now()
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or expires < now_s:
            raise ClaimRefused("expired")
        begins = claims.get("nbf", 0)
        if not isinstance(begins, int | float) or begins > now_s + _EARLY_S:
            raise ClaimRefused("not valid yet")
        named = claims.get("aud")
        told = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        if not any(audience in self._issuer.audiences for audience in told):
            raise ClaimRefused("for another audience")
