"""Bearer tokens that another server knows: TokenReview (authentication.k8s.io/v1) sent to a webhook."""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from kajitori.api.errors import Unauthorized
from kajitori.api.meta import Object
from kajitori.apiserver.authn.chain import Found
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.remote import Answers, Unanswered
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

CACHE_S = 120.0
TOKEN_BYTES_MAX = 16 << 10
"""Longer ones are refused here: what anybody sends must not become traffic."""


class Caller(Protocol):
    async def post(self, document: Object) -> Object:
        """Raises Unanswered."""


class WebhookTokens:
    """Yes and no are remembered for `cache_s`; no answer is a refusal and is not remembered."""

    def __init__(self, caller: Caller, audiences: Sequence[str], clock: Clock, cache_s: float = CACHE_S) -> None:
        self._caller = caller
        self._audiences = tuple(audiences)
        self._cache_s = cache_s
        self._answers: Answers[tuple[Found | None]] = Answers(clock)

    async def authenticate(self, token: str, audiences: Sequence[str] = ()) -> Found | None:
        if len(token) > TOKEN_BYTES_MAX:
            return None
        wanted = tuple(audiences) or self._audiences
        question = (hashlib.sha256(token.encode()).digest(), wanted)

        async def ask() -> tuple[tuple[Found | None], float]:
            return (await self._ask(token, wanted),), self._cache_s

        try:
            (found,) = await self._answers.of(question, ask)
        except Unanswered as error:
            log.warning("the authentication webhook gave no answer: %s", error)
            raise Unauthorized() from error
        return found

    async def _ask(self, token: str, wanted: tuple[str, ...]) -> Found | None:
        spec: Object = {"token": token, "audiences": list(wanted)}
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._caller.post(review)
        status = answer.get("status")
        if not isinstance(status, dict):
            raise Unanswered("the answer has no status")
        if status.get("authenticated") is not True:
            return None
        told = status.get("audiences")
        # A webhook that says nothing of audiences knows of none but this server's.
        shared = tuple(a for a in wanted if a in (told if isinstance(told, list) else self._audiences))
        if wanted and not shared:
            return None
        return user_of(status.get("user")), shared


def user_of(info: Any) -> User:
    """UserInfo as a user. Raises Unanswered."""
    if not isinstance(info, dict) or not isinstance(info.get("username"), str) or not info["username"]:
        raise Unanswered("the answer's user has no name")
    groups = info.get("groups") or []
    extra = info.get("extra") or {}
    if not isinstance(groups, list) or not isinstance(extra, dict):
        raise Unanswered("the answer's groups or extra are of the wrong type")
    return User(
        info["username"],
        tuple(str(group) for group in groups),
        str(info.get("uid") or ""),
        {str(key): tuple(str(v) for v in values or ()) for key, values in extra.items()},
    )
