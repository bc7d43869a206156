"""authorization.k8s.io: asking beforehand what a request would be told, about oneself or (with the right to) others."""

from collections.abc import Callable, Mapping

from kajitori.api import authorization
from kajitori.api.errors import BadRequest, Invalid
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.validation.authorization import access_selectors
from kajitori.apiserver.authz.rbac import RbacAuthorizer
from kajitori.apiserver.authz.rules import Rule, compact
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Attributes, Authorizer, User, Verdict, decided
from kajitori.apiserver.special.bodies import answer, only, read_document

_GROUP = "authorization.k8s.io"
# Upstream's refusals of these kinds name no kind.
_NO_KIND = ""


class AccessReviews:
    """`handlers` answers the four kinds. Who may ask about others is the RBAC of these kinds themselves."""

    def __init__(self, authorizer: Authorizer, rbac: RbacAuthorizer, incomplete: Callable[[], str] = str) -> None:
        """`incomplete` says why the rules of RBAC are not all: another authorizer cannot list its own."""
        self._authorizer = authorizer
        self._incomplete = incomplete
        self._rbac = rbac

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {
            (_GROUP, "selfsubjectaccessreviews", ""): self._self_access,
            (_GROUP, "subjectaccessreviews", ""): self._access,
            (_GROUP, "localsubjectaccessreviews", ""): self._local_access,
            (_GROUP, "selfsubjectrulesreviews", ""): self._self_rules,
        }

    async def _self_access(self, context: RequestContext) -> Response:
        return await self._review(context, authorization.SELF_SUBJECT_ACCESS_REVIEW, context.user)

    async def _access(self, context: RequestContext) -> Response:
        return await self._review(context, authorization.SUBJECT_ACCESS_REVIEW, None)

    async def _local_access(self, context: RequestContext) -> Response:
        review = read_document(context, authorization.LOCAL_SUBJECT_ACCESS_REVIEW)
        asked = (review.get("spec") or {}).get("resourceAttributes")
        said = (review.get("metadata") or {}).get("namespace") or ""
        if said and said != context.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        if asked is not None and (asked.get("namespace") or "") != context.namespace:
            detail = "must match metadata.namespace"
            error = invalid("spec.resourceAttributes.namespace", asked.get("namespace", ""), detail)
            raise Invalid.of(_GROUP, _NO_KIND, "", [error])
        return await self._review(context, authorization.LOCAL_SUBJECT_ACCESS_REVIEW, None)

    async def _review(self, context: RequestContext, kind: Resource, user: User | None) -> Response:
        only(context, "POST")
        review = read_document(context, kind)
        spec = review.get("spec") or {}
        if errors := _errors(spec, about_another=user is None):
            raise Invalid.of(_GROUP, _NO_KIND, "", errors)
        verdict, reason = await decided(self._authorizer, _attributes(spec, user or _subject(spec)))
        status: Object = {"allowed": verdict is Verdict.ALLOW}
        if verdict is Verdict.DENY:
            status["denied"] = True
        if reason:
            status["reason"] = reason
        return answer(context, {**review, "status": status}, 201)

    async def _self_rules(self, context: RequestContext) -> Response:
        only(context, "POST")
        review = read_document(context, authorization.SELF_SUBJECT_RULES_REVIEW)
        namespace = (review.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise BadRequest("no namespace on request")
        rules = compact(self._rbac.rules_for(context.user, namespace))
        status: Object = {
            "resourceRules": [_resource_rule(rule) for rule in rules if rule.resources],
            "nonResourceRules": [
                {"verbs": sorted(rule.verbs), "nonResourceURLs": sorted(rule.paths)} for rule in rules if rule.paths
            ],
            "incomplete": bool(self._incomplete()),
        }
        if why := self._incomplete():
            status["evaluationError"] = why
        return answer(context, {**review, "spec": {}, "status": status}, 201)


def _errors(spec: Object, *, about_another: bool) -> list[FieldError]:
    errors = []
    given = [field for field in ("resourceAttributes", "nonResourceAttributes") if spec.get(field) is not None]
    if len(given) != 1:
        what = (
            "cannot be specified in combination with resourceAttributes"
            if given
            else ("exactly one of nonResourceAttributes or resourceAttributes must be specified")
        )
        field = "spec.nonResourceAttributes" if given else "spec.resourceAttributes"
        errors.append(invalid(field, spec.get("nonResourceAttributes"), what))
    errors += access_selectors(spec)
    if about_another and not spec.get("user") and not spec.get("groups"):
        errors.append(invalid("spec.user", spec.get("user", ""), "at least one of user or group must be specified"))
    return errors


def _subject(spec: Object) -> User:
    extra = {name.lower(): tuple(values or ()) for name, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _attributes(spec: Object, user: User) -> Attributes:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(user, path.get("verb", ""), path=path.get("path", ""))
    asked = spec["resourceAttributes"]
    return Attributes(
        user,
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        label_selector=(asked.get("labelSelector") or {}).get("rawSelector", ""),
        field_selector=_field_selector(asked.get("fieldSelector") or {}),
    )


def _field_selector(selector: Object) -> str:
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    exact = [r for r in selector.get("requirements") or () if r.get("operator") == "In" and len(r["values"]) == 1]
    return ",".join(f"{requirement['key']}={requirement['values'][0]}" for requirement in exact)


def _resource_rule(rule: Rule) -> Object:
    shown: Object = {
        "verbs": sorted(rule.verbs),
        "apiGroups": sorted(rule.groups),
        "resources": sorted(rule.resources),
    }
    return {**shown, "resourceNames": sorted(rule.names)} if rule.names else shown
