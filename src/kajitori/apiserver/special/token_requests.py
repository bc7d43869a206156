"""serviceaccounts/token: a token with an audience, an end, and an object it dies with (KEP-1205)."""

from collections.abc import Mapping, Sequence

from kajitori.api import core
from kajitori.api.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object, uid_of
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.apiserver.authn.service_accounts import TokenIssuer
from kajitori.apiserver.authz.node import node_of
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.special.bodies import answer, only, read_document
from kajitori.kit.clock import Clock

_TOKEN_REQUEST = Resource(
    group="authentication.k8s.io",
    version="v1",
    kind="TokenRequest",
    plural="tokenrequests",
    definition="io.k8s.api.authentication.v1.TokenRequest",
)
_LIFETIME_S, _LIFETIME_MIN_S, _LIFETIME_MAX_S = 3600, 600, 1 << 32
# What projected volumes ask for: such a token is good for a year, so that old clients that never reread it go on
# working, and is reported as stale after the hour (KEP-1205, "safe rollout").
_PROJECTED_S, _EXTENDED_S = 3607, 365 * 24 * 3600
_BOUND_KINDS = {("v1", "Pod"): core.POD, ("v1", "Secret"): core.SECRET, ("v1", "Node"): core.NODE}


class TokenRequests:
    def __init__(
        self,
        objects: Objects,
        issuer: TokenIssuer,
        audiences: Sequence[str],
        clock: Clock,
        lifetime_max_s: int | None = None,
    ) -> None:
        """Tokens for longer than `lifetime_max_s` are asked for in vain: they live that long."""
        self._lifetime_max_s = lifetime_max_s
        self._objects = objects
        self._issuer = issuer
        self._audiences = list(audiences)
        self._clock = clock

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {("", "serviceaccounts", "token"): self._create}

    async def _create(self, context: RequestContext) -> Response:
        only(context, "POST")
        request = read_document(context, _TOKEN_REQUEST)
        spec = {**(request.get("spec") or {})}
        spec["audiences"] = spec.get("audiences") or self._audiences
        lifetime_s = spec.get("expirationSeconds")
        lifetime_s = spec["expirationSeconds"] = _LIFETIME_S if lifetime_s is None else lifetime_s
        if errors := _errors(lifetime_s):
            raise Invalid.of("authentication.k8s.io", "TokenRequest", "", errors)
        if self._lifetime_max_s is not None:
            lifetime_s = spec["expirationSeconds"] = min(lifetime_s, self._lifetime_max_s)
        account = await self._objects.get(core.SERVICE_ACCOUNT, context.name, context.namespace)
        bound, node = await self._bound(spec.get("boundObjectRef") or {}, account)
        _check_node(context, bound)
        extend = (
            lifetime_s == _PROJECTED_S
            and spec["audiences"] == self._audiences
            and bound is not None
            and bound["kind"] == "Pod"
        )
        now_s = self._clock.now()
        token = self._issuer.issue(
            account,
            spec["audiences"],
            min(_EXTENDED_S, self._lifetime_max_s or _EXTENDED_S) if extend else lifetime_s,
            now_s,
            bound,
            node,
            warn_after_s=lifetime_s if extend else None,
        )
        status = {"token": token, "expirationTimestamp": timestamp(now_s + lifetime_s)}
        metadata = {"name": context.name, "namespace": context.namespace, "creationTimestamp": timestamp(now_s)}
        document = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {**request["metadata"], **metadata},
            "spec": {**spec, "boundObjectRef": spec.get("boundObjectRef")},
            "status": status,
        }
        return answer(context, document, 201)

    async def _bound(self, reference: Object, account: Object) -> tuple[Object | None, Object | None]:
        """The object that the token shall die with, and the node that a pod runs on."""
        if not reference:
            return None, None
        kind = (reference.get("apiVersion", ""), reference.get("kind", ""))
        resource = _BOUND_KINDS.get(kind)
        if resource is None:
            raise BadRequest(f"cannot bind token to object of type {kind[0]}, Kind={kind[1]}")
        namespace = account["metadata"]["namespace"] if resource.namespaced else ""
        found = await self._objects.get(resource, reference.get("name", ""), namespace)
        wanted_uid = reference.get("uid", "")
        if wanted_uid and wanted_uid != uid_of(found):
            why = (
                f"the UID in the bound object reference ({wanted_uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise Conflict.of(resource.group, resource.plural, reference.get("name", ""), why)
        if kind[1] != "Pod":
            return found, None
        name = account["metadata"]["name"]
        if found["spec"].get("serviceAccountName") != name:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{name}" to pod running with different serviceaccount name.'
            )
        return found, await self._node_of(found)

    async def _node_of(self, pod: Object) -> Object | None:
        name = pod["spec"].get("nodeName")
        if not name:
            return None
        try:
            return await self._objects.get(core.NODE, name)
        except NotFound:
            return {"metadata": {"name": name, "uid": ""}}


def _check_node(context: RequestContext, bound: Object | None) -> None:
    """NodeRestriction: a node gets tokens for the pods that are bound to it, and for nothing else."""
    node = node_of(context.user)
    if not node:
        return
    if bound is None or bound["kind"] != "Pod":
        why = "node requested token not bound to a pod"
    elif bound["spec"].get("nodeName") != node:
        why = "node requested token bound to a pod scheduled on a different node"
    else:
        return
    raise Forbidden(f'serviceaccounts "{context.name}" is forbidden: {why}')


def _errors(lifetime_s: object) -> list[FieldError]:
    field = "spec.expirationSeconds"
    if not isinstance(lifetime_s, int):
        return [invalid(field, lifetime_s, "must be an integer")]
    if lifetime_s < _LIFETIME_MIN_S:
        return [invalid(field, lifetime_s, "may not specify a duration less than 10 minutes")]
    if lifetime_s > _LIFETIME_MAX_S:
        return [invalid(field, lifetime_s, "may not specify a duration larger than 2^32 seconds")]
    return []
