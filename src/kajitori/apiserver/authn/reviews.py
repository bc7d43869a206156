"""authentication.k8s.io: whose token this is, and who I am."""

from collections.abc import Mapping

from kajitori.api import authentication
from kajitori.api.errors import BadRequest, Unauthorized
from kajitori.api.meta import Object
from kajitori.apiserver.authn.chain import AuthenticatorChain
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.special.bodies import answer, only, read_document

_GROUP = "authentication.k8s.io"


class IdentityReviews:
    def __init__(self, authenticator: AuthenticatorChain) -> None:
        self._authenticator = authenticator

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {
            (_GROUP, "tokenreviews", ""): self._token,
            (_GROUP, "selfsubjectreviews", ""): self._self,
        }

    async def _token(self, context: RequestContext) -> Response:
        only(context, "POST")
        review = read_document(context, authentication.TOKEN_REVIEW)
        spec = review.get("spec") or {}
        if not spec.get("token"):
            raise BadRequest("token is required for TokenReview in authentication")
        status: Object
        try:
            user, audiences = await self._authenticator.authenticate_token(
                spec["token"], tuple(spec.get("audiences") or ())
            )
            status = {"authenticated": True, "user": user_info(user), "audiences": list(audiences)}
        except Unauthorized:
            status = {"user": {}, "error": "invalid bearer token"}
        return answer(context, {**review, "status": status}, 201)

    async def _self(self, context: RequestContext) -> Response:
        only(context, "POST")
        review = read_document(context, authentication.SELF_SUBJECT_REVIEW)
        status = {"userInfo": user_info(context.user)}
        return answer(context, {**review, "status": status}, 201)


def user_info(user: User) -> Object:
    """A user as authentication.k8s.io/v1 UserInfo."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info
