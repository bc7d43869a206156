"""authentication.k8s.io: whose token this is, and who I am."""

from collections.abc import Mapping

from kajitori.api import authentication
from kajitori.api.errors import BadRequest, Unauthorized
from kajitori.api.meta import Object
from kajitori.api.times import timestamp
from kajitori.apiserver.authn.chain import AuthenticatorChain
from kajitori.apiserver.authn.service_accounts import NotHeld
from kajitori.apiserver.authn.user_info import user_info
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.special.bodies import answer, only, read_posted
from kajitori.kit.clock import Clock

_GROUP = "authentication.k8s.io"
_INVALID = "invalid bearer token"


class IdentityReviews:
    def __init__(self, authenticator: AuthenticatorChain, clock: Clock) -> None:
        self._authenticator = authenticator
        self._clock = clock

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {
            (_GROUP, "tokenreviews", ""): self._token,
            (_GROUP, "selfsubjectreviews", ""): self._self,
        }

    async def _token(self, context: RequestContext) -> Response:
        only(context, "POST")
        review = read_posted(context, authentication.TOKEN_REVIEW, self._clock)
        spec = review.get("spec") or {}
        if not spec.get("token"):
            raise BadRequest("token is required for TokenReview in authentication")
        status: Object
        try:
            user, audiences = await self._authenticator.authenticate_token(
                spec["token"], tuple(spec.get("audiences") or ())
            )
            status = {"authenticated": True, "user": user_info(user), "audiences": list(audiences)}
        except NotHeld as refused:
            status = {"user": {}, "error": f"[{_INVALID}, {refused.why}]"}
        except Unauthorized:
            status = {"user": {}, "error": _INVALID}
        return answer(context, {**review, "status": status}, 201)

    async def _self(self, context: RequestContext) -> Response:
        only(context, "POST")
        review = read_posted(context, authentication.SELF_SUBJECT_REVIEW, self._clock)
        metadata, status = {"creationTimestamp": timestamp(self._clock.now())}, {"userInfo": user_info(context.user)}
        return answer(context, {**review, "metadata": metadata, "status": status}, 201)
