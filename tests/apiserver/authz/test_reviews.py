import asyncio
from typing import Any

import orjson
import pytest

from kajitori.api import authorization, rbac
from kajitori.api.errors import Forbidden, Invalid, NotFound
from kajitori.apiserver.authz.escalation import BindingHooks, RoleHooks
from kajitori.apiserver.authz.rbac import RbacAuthorizer
from kajitori.apiserver.authz.reviews import AccessReviews
from kajitori.apiserver.http_types import Request, RequestContext, WriteContext
from kajitori.apiserver.interfaces import Attributes, User
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

JANE = User("jane", ("dev",))
BOSS = User("boss", ("system:masters",))


def world() -> RbacAuthorizer:
    objects = FakeObjects()
    rule = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}
    objects.put(rbac.CLUSTER_ROLE, {"metadata": {"name": "reader"}, "rules": [rule]})
    wide = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    objects.put(rbac.CLUSTER_ROLE, {"metadata": {"name": "everything"}, "rules": [wide]})
    objects.put(
        rbac.CLUSTER_ROLE_BINDING,
        {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "User", "name": "jane"}],
        },
    )
    return RbacAuthorizer(objects)


def review(kind: str, spec: dict[str, Any], user: User = JANE, namespace: str = "") -> dict[str, Any]:
    authorizer = world()
    reviews = AccessReviews(authorizer, authorizer, VirtualClock()).handlers()
    handler = reviews["authorization.k8s.io", f"{kind.lower()}s", ""]
    request = Request("POST", "/", body=orjson.dumps({"kind": kind, "spec": spec}))
    context = RequestContext(request, user, Attributes(user, "create", namespace=namespace))
    response = asyncio.run(handler(context))  # type: ignore[arg-type]
    assert response.status == 201
    return orjson.loads(response.body)  # type: ignore[no-any-return]


def test_can_i() -> None:
    pods = {"verb": "get", "resource": "pods", "namespace": "default"}
    assert review("SelfSubjectAccessReview", {"resourceAttributes": pods})["status"]["allowed"] is True
    secrets = {**pods, "resource": "secrets"}
    assert review("SelfSubjectAccessReview", {"resourceAttributes": secrets})["status"] == {"allowed": False}
    about = {"user": "jane", "resourceAttributes": pods}
    assert review("SubjectAccessReview", about, BOSS)["status"]["allowed"] is True
    assert review("LocalSubjectAccessReview", about, BOSS, "default")["status"]["allowed"] is True
    with pytest.raises(Invalid, match=r"must match metadata\.namespace"):
        review("LocalSubjectAccessReview", about, BOSS, "other")
    with pytest.raises(Invalid, match="at least one of user or group"):
        review("SubjectAccessReview", {"resourceAttributes": pods})


def test_selectors_that_are_not_understood_only_widen_the_question() -> None:
    def asked(**selectors: dict[str, Any]) -> Any:
        pods = {"verb": "list", "resource": "pods", **selectors}
        return review("SelfSubjectAccessReview", {"resourceAttributes": pods})["status"].get("evaluationError")

    field, label = "spec.resourceAttributes.fieldSelector", "spec.resourceAttributes.labelSelector"
    known = {"key": "a", "operator": "In", "values": ["b"]}
    assert asked(fieldSelector={"requirements": [known]}, labelSelector={"requirements": [known]}) is None
    wrong = asked(fieldSelector={"rawSelector": "a"}, labelSelector={"rawSelector": "a in (b"})
    assert wrong == f"{field} ignored due to parse error; {label} ignored due to parse error"
    newer = {"key": "a", "operator": "Newer"}
    assert asked(labelSelector={"requirements": [known, newer]}) == f"{label} partially ignored due to parse error"


def test_a_review_says_who_wrote_it_and_has_no_other_metadata() -> None:
    answered = review("SelfSubjectAccessReview", {"resourceAttributes": {"verb": "get", "resource": "pods"}})
    (entry,) = answered["metadata"].pop("managedFields")
    assert entry["fieldsV1"] == {"f:spec": {"f:resourceAttributes": {".": {}, "f:resource": {}, "f:verb": {}}}}
    assert answered["metadata"] == {}
    named = {"metadata": {"name": "x", "uid": "dropped"}, "spec": {"nonResourceAttributes": {}}}
    (error,) = authorization.SELF_SUBJECT_ACCESS_REVIEW.validate(named)  # type: ignore[misc]
    assert str(error).startswith('metadata: Invalid value: {"name":"x"')
    both = {"spec": {"nonResourceAttributes": {}, "resourceAttributes": {}}}
    (error,) = authorization.SELF_SUBJECT_ACCESS_REVIEW.validate(both)  # type: ignore[misc]
    assert str(error).startswith('spec.nonResourceAttributes: Invalid value: {"Path":"","Verb":""}: cannot')


def test_a_rules_review_names_roles_that_do_not_exist() -> None:
    objects = FakeObjects()
    for name in ("one", "two"):
        role, subject = {"kind": "ClusterRole", "name": name}, {"kind": "User", "name": "jane"}
        objects.put(rbac.CLUSTER_ROLE_BINDING, {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    reviews = AccessReviews(RbacAuthorizer(objects), RbacAuthorizer(objects), VirtualClock()).handlers()
    request = Request("POST", "/", body=b'{"spec": {"namespace": "default"}}')
    context = RequestContext(request, JANE, Attributes(JANE, "create"))
    answered = asyncio.run(reviews["authorization.k8s.io", "selfsubjectrulesreviews", ""](context))  # type: ignore[arg-type]
    status = orjson.loads(answered.body)["status"]  # type: ignore[union-attr]
    missing = [f'clusterrole.rbac.authorization.k8s.io "{name}" not found' for name in ("one", "two")]
    assert (status["evaluationError"], status["incomplete"]) == (f"[{', '.join(missing)}]", False)


def test_an_extra_field_of_nothing_is_an_empty_one() -> None:
    pods = {"verb": "get", "resource": "pods", "namespace": "default"}
    asked = {"user": "jane", "extra": {"a": None}, "resourceAttributes": pods}
    assert review("SubjectAccessReview", asked, BOSS)["status"]["allowed"] is True


def test_rules_review_lists_what_holds_in_the_namespace() -> None:
    status = review("SelfSubjectRulesReview", {"namespace": "default"})["status"]
    assert status["resourceRules"] == [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]
    assert status["incomplete"] is False


def test_nobody_grants_what_he_does_not_hold() -> None:
    authorizer = world()
    hooks = RoleHooks(rbac.ROLE, authorizer, authorizer)
    rules = [{"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]}]
    role = {"metadata": {"name": "r", "namespace": "default"}, "rules": rules}
    with pytest.raises(Forbidden) as refused:
        asyncio.run(hooks.before_create(role, WriteContext(JANE)))
    assert refused.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "jane" (groups=["dev"]) is attempting to grant RBAC '
        'permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )
    asyncio.run(hooks.before_create(role, WriteContext(BOSS)))
    asyncio.run(hooks.before_update(role, role, WriteContext(JANE)))


def test_nobody_binds_what_he_does_not_hold() -> None:
    authorizer = world()
    hooks = BindingHooks(rbac.ROLE_BINDING, authorizer, authorizer)

    def bind(role: str) -> dict[str, Any]:
        return {"metadata": {"name": "b", "namespace": "x"}, "roleRef": {"kind": "ClusterRole", "name": role}}

    asyncio.run(hooks.before_create(bind("reader"), WriteContext(JANE)))
    with pytest.raises(Forbidden, match="not currently held"):
        asyncio.run(hooks.before_create(bind("everything"), WriteContext(JANE)))
    with pytest.raises(NotFound) as absent:
        asyncio.run(hooks.before_create(bind("absent"), WriteContext(JANE)))
    assert absent.value.message == 'rolebindings.rbac.authorization.k8s.io "absent" not found'


def test_who_no_longer_aggregates_needs_to_have_everything_too() -> None:
    authorizer = world()
    hooks = RoleHooks(rbac.CLUSTER_ROLE, authorizer, authorizer)
    new = {"metadata": {"name": "r"}, "rules": []}
    old = {**new, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    with pytest.raises(Forbidden, match="must have cluster-admin privileges"):
        asyncio.run(hooks.before_update(new, old, WriteContext(JANE)))
    asyncio.run(hooks.before_update(new, old, WriteContext(BOSS)))
