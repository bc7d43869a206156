"""authorization.k8s.io: asking beforehand what a request would be told, about oneself or (with the right to) others."""

from collections.abc import Callable, Mapping, Sequence

from kajitori.api import authorization
from kajitori.api.errors import BadRequest, Invalid, StatusError
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.selectors import FieldRequirement, parse_field_selector, parse_label_selector
from kajitori.apiserver.authz.rbac import RbacAuthorizer, aggregated
from kajitori.apiserver.authz.rules import Rule, compact
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Attributes, Authorizer, User, Verdict, decided
from kajitori.apiserver.special.bodies import answer, only, read_posted
from kajitori.kit.clock import Clock

_GROUP = "authorization.k8s.io"
# Upstream's refusals of these kinds name no kind.
_NO_KIND = ""


class AccessReviews:
    """`handlers` answers the four kinds. Who may ask about others is the RBAC of these kinds themselves."""

    def __init__(
        self,
        authorizer: Authorizer,
        rbac: RbacAuthorizer,
        clock: Clock,
        incomplete: Callable[[User], Sequence[str]] = lambda user: (),
    ) -> None:
        """`incomplete` says why the rules of RBAC are not all of a user's: other authorizers cannot list theirs."""
        self._authorizer = authorizer
        self._incomplete = incomplete
        self._rbac = rbac
        self._clock = clock

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
        return await self._review(context, authorization.LOCAL_SUBJECT_ACCESS_REVIEW, None)

    async def _review(self, context: RequestContext, kind: Resource, user: User | None) -> Response:
        only(context, "POST")
        review = read_posted(context, kind, self._clock)
        assert kind.validate is not None
        if errors := kind.validate(review):
            raise Invalid.of(_GROUP, _NO_KIND, "", errors)
        spec = review["spec"]
        attributes, ignored = _attributes(spec, user or _subject(spec))
        verdict, reason = await decided(self._authorizer, attributes)
        status: Object = {"allowed": verdict is Verdict.ALLOW}
        if verdict is Verdict.DENY:
            status["denied"] = True
        if reason:
            status["reason"] = reason
        if ignored:
            status["evaluationError"] = "; ".join(ignored)
        return answer(context, {**review, "status": status}, 201)

    async def _self_rules(self, context: RequestContext) -> Response:
        only(context, "POST")
        review = read_posted(context, authorization.SELF_SUBJECT_RULES_REVIEW, self._clock)
        namespace = (review.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise BadRequest("no namespace on request")
        rules = compact(self._rbac.rules_for(context.user, namespace))
        incomplete = list(self._incomplete(context.user))
        status: Object = {
            "resourceRules": [_resource_rule(rule) for rule in rules if rule.resources],
            "nonResourceRules": [
                {"verbs": sorted(rule.verbs), "nonResourceURLs": sorted(rule.paths)} for rule in rules if rule.paths
            ],
            "incomplete": bool(incomplete),
        }
        if errors := incomplete + aggregated(self._rbac.missing_roles(context.user, namespace)):
            status["evaluationError"] = aggregated(errors)[0]
        return answer(context, {**review, "metadata": {}, "spec": {}, "status": status}, 201)


def _subject(spec: Object) -> User:
    extra = {name.lower(): tuple(values or ()) for name, values in (spec.get("extra") or {}).items()}
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)


def _attributes(spec: Object, user: User) -> tuple[Attributes, list[str]]:
    """What is asked, and which selectors of it were not understood: what they leave out only widens the question."""
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(user, path.get("verb", ""), path=path.get("path", "")), []
    asked = spec["resourceAttributes"]
    fields, fields_ignored = _selector(asked.get("fieldSelector") or {}, parse_field_selector, _field_requirement)
    labels, labels_ignored = _selector(asked.get("labelSelector") or {}, parse_label_selector, _label_requirement)
    attributes = Attributes(
        user,
        asked.get("verb", ""),
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("resource", ""),
        asked.get("subresource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        label_selector=labels,
        field_selector=fields,
    )
    ignored = (("fieldSelector", fields_ignored), ("labelSelector", labels_ignored))
    return attributes, [f"spec.resourceAttributes.{field} {how} due to parse error" for field, how in ignored if how]


def _selector(selector: Object, parse: Callable[[str], object], shown: Callable[[Object], str]) -> tuple[str, str]:
    """A selector as a query says it, and what of it is ignored: nothing, all or a part."""
    if raw := selector.get("rawSelector"):
        try:
            parse(raw)
        except StatusError:
            return "", "ignored"
        return str(raw), ""
    requirements = selector.get("requirements") or ()
    understood = [text for text in map(shown, requirements) if text]
    if len(understood) == len(requirements):
        return ",".join(understood), ""
    return ",".join(understood), "partially ignored" if understood else "ignored"


def _field_requirement(requirement: Object) -> str:
    """Empty for what no field selector can say."""
    values = requirement.get("values") or []
    equal = {"In": True, "NotIn": False}.get(requirement.get("operator", ""))
    if equal is None or len(values) != 1:
        return ""
    return str(FieldRequirement(requirement.get("key", ""), values[0], equal))


def _label_requirement(requirement: Object) -> str:
    key, values = requirement.get("key", ""), ",".join(requirement.get("values") or ())
    forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return str(forms.get(requirement.get("operator", ""), ""))


def _resource_rule(rule: Rule) -> Object:
    shown: Object = {
        "verbs": sorted(rule.verbs),
        "apiGroups": sorted(rule.groups),
        "resources": sorted(rule.resources),
    }
    return {**shown, "resourceNames": sorted(rule.names)} if rule.names else shown
