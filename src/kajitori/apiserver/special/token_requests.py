"""serviceaccounts/token: a token with an audience, an end, and an object it dies with (KEP-1205)."""

import uuid
from collections.abc import Mapping, Sequence

from kajitori.api import core
from kajitori.api.errors import BadRequest, Conflict, Invalid, NotFound
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object, name_of, namespace_of, uid_of
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.apiserver.authn.service_accounts import TokenIssuer
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Authorizer, Objects
from kajitori.apiserver.rest.metadata import SYSTEM_FIELDS
from kajitori.apiserver.special.bodies import answer, only, read_posted
from kajitori.apiserver.special.node_tokens import ANOTHER_UID, NodeTokens
from kajitori.kit.clock import Clock

TOKENS: HandlerKey = ("", "serviceaccounts", "token")
_GROUP = "authentication.k8s.io"
TOKEN_REQUEST = Resource(
    group=_GROUP,
    version="v1",
    kind="TokenRequest",
    plural="tokenrequests",
    definition="io.k8s.api.authentication.v1.TokenRequest",
)
_ISSUED = "authentication.kubernetes.io/issued-credential-id"
"""What the audit log tells of a token, so that what is done with it can be traced back to this request."""
_LIFETIME_S, _LIFETIME_MIN_S, _LIFETIME_MAX_S = 3600, 600, 1 << 32
# What projected volumes ask for: such a token is good for a year, so that old clients that never reread it go on
# working, and is reported as stale after the hour (KEP-1205, "safe rollout").
_PROJECTED_S, _EXTENDED_S = 3607, 365 * 24 * 3600
_BOUND_KINDS = {"Pod": core.POD, "Secret": core.SECRET, "Node": core.NODE}


class TokenRequests:
    def __init__(
        self,
        objects: Objects,
        issuer: TokenIssuer,
        audiences: Sequence[str],
        clock: Clock,
        authorizer: Authorizer,
        lifetime_max_s: int | None = None,
    ) -> None:
        """Tokens for longer than `lifetime_max_s` are asked for in vain: they live that long."""
        self._lifetime_max_s = lifetime_max_s
        self._objects = objects
        self._issuer = issuer
        self._audiences = list(audiences)
        self._clock = clock
        self._node_rules = NodeTokens(objects, authorizer)

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {TOKENS: self._create}

    async def _create(self, context: RequestContext) -> Response:
        only(context, "POST")
        posted = read_posted(context, TOKEN_REQUEST, self._clock, keep=SYSTEM_FIELDS, default=default_token_request)
        request, account = await self._settle(context, posted)
        metadata, spec = request["metadata"], request["spec"]
        bound, node = await self._bound(spec.get("boundObjectRef"), account)
        now_s = self._clock.now()
        token = self._issue(context, account, spec, now_s, bound, node)
        lifetime_s = spec["expirationSeconds"]
        document = {
            **request,
            "metadata": {**metadata, "creationTimestamp": timestamp(now_s)},
            "spec": {**spec, "boundObjectRef": spec.get("boundObjectRef")},
            "status": {"token": token, "expirationTimestamp": timestamp(now_s + lifetime_s)},
        }
        return answer(context, document, 201)

    async def settled(self, context: RequestContext, request: Object) -> Object:
        """The request as it is granted, which is what validating admission is shown. Raises StatusError."""
        return (await self._settle(context, request))[0]

    async def _settle(self, context: RequestContext, request: Object) -> tuple[Object, Object]:
        """That, and the service account."""
        metadata, spec = request["metadata"], request["spec"]
        await self._node_rules.check(context, spec)
        if (named := metadata.get("name") or context.name) != context.name:
            wrong = invalid("metadata.name", named, "must match the service account name if specified")
            raise Invalid.of(_GROUP, "TokenRequest", context.name, [wrong])
        account = await self._objects.get(core.SERVICE_ACCOUNT, context.name, context.namespace)
        if (uid := metadata.get("uid") or uid_of(account)) != uid_of(account):
            why = f"the UID in the token request ({uid}) does not match the UID of the service account "
            raise Conflict.of(_GROUP, "TokenRequest", context.name, f"{why}({uid_of(account)})")
        if errors := _errors(spec["expirationSeconds"]):
            raise Invalid.of(_GROUP, "TokenRequest", "", errors)
        filled = {"name": context.name, "namespace": context.namespace, "uid": uid}
        settled = {
            **request,
            "metadata": {**metadata, **filled, "creationTimestamp": timestamp(self._clock.now())},
            "spec": {**spec, "audiences": spec.get("audiences") or self._audiences},
        }
        return settled, account

    def _issue(
        self,
        context: RequestContext,
        account: Object,
        spec: Object,
        now_s: float,
        bound: Object | None,
        node: Object | None,
    ) -> str:
        """Shortens what `spec` asks for to what is granted at most."""
        lifetime_s, longest_s = spec["expirationSeconds"], self._lifetime_max_s
        if longest_s is not None and lifetime_s > longest_s:
            shortened = f"requested expiration of {lifetime_s} seconds shortened to {longest_s} seconds"
            context.warnings.append(shortened)
            lifetime_s = spec["expirationSeconds"] = longest_s
        token_id = str(uuid.uuid4())
        context.annotations[_ISSUED] = f"JTI={token_id}"
        own = set(spec["audiences"]) <= set(self._audiences)
        extend = lifetime_s == _PROJECTED_S and own and bound is not None and bound["kind"] == "Pod"
        return self._issuer.issue(
            account,
            spec["audiences"],
            min(_EXTENDED_S, longest_s or _EXTENDED_S) if extend else lifetime_s,
            now_s,
            bound,
            node,
            warn_after_s=lifetime_s if extend else None,
            token_id=token_id,
        )

    async def _bound(self, reference: Object | None, account: Object) -> tuple[Object | None, Object | None]:
        """The object that the token shall die with, and the node that a pod runs on."""
        if reference is None:
            return None, None
        group, _, version = (reference.get("apiVersion") or "").rpartition("/")
        kind, name = reference.get("kind") or "", reference.get("name") or ""
        resource = None if group else _BOUND_KINDS.get(kind)
        if resource is None:
            raise BadRequest(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        if not name:
            raise BadRequest("Name parameter required.")
        found = await self._objects.get(resource, name, namespace_of(account) if resource.namespaced else "")
        if kind == "Pod" and found["spec"].get("serviceAccountName") != name_of(account):
            raise BadRequest(
                f'cannot bind token for serviceaccount "{name_of(account)}" to pod running with different '
                "serviceaccount name."
            )
        wanted_uid = reference.get("uid", "")
        if wanted_uid and wanted_uid != uid_of(found):
            raise Conflict.of("", kind, name, ANOTHER_UID.format(wanted_uid))
        return found, await self._node_of(found) if kind == "Pod" else None

    async def _node_of(self, pod: Object) -> Object | None:
        name = pod["spec"].get("nodeName")
        if not name:
            return None
        try:
            return await self._objects.get(core.NODE, name)
        except NotFound:
            return {"metadata": {"name": name}}


def default_token_request(request: Object) -> None:
    spec = request["spec"] = request.get("spec") or {}
    if spec.get("expirationSeconds") is None:
        spec["expirationSeconds"] = _LIFETIME_S


def _errors(lifetime_s: object) -> list[FieldError]:
    field = "spec.expirationSeconds"
    if not isinstance(lifetime_s, int):
        return [invalid(field, lifetime_s, "must be an integer")]
    if lifetime_s < _LIFETIME_MIN_S:
        return [invalid(field, lifetime_s, "may not specify a duration less than 10 minutes")]
    if lifetime_s > _LIFETIME_MAX_S:
        return [invalid(field, lifetime_s, "may not specify a duration larger than 2^32 seconds")]
    return []
