"""The kinds of authorization.k8s.io."""

from kajitori.api.resource import Resource
from kajitori.api.validation import authorization as authorization_validation

LOCAL_SUBJECT_ACCESS_REVIEW = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="LocalSubjectAccessReview",
    plural="localsubjectaccessreviews",
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    validate=authorization_validation.validate_local_access_review,
)

SELF_SUBJECT_ACCESS_REVIEW = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    validate=authorization_validation.validate_self_access_review,
)

SELF_SUBJECT_RULES_REVIEW = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.SelfSubjectRulesReview",
)

SUBJECT_ACCESS_REVIEW = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="SubjectAccessReview",
    plural="subjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authorization.v1.SubjectAccessReview",
    validate=authorization_validation.validate_access_review,
)

RESOURCES = (
    LOCAL_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_ACCESS_REVIEW,
    SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
)
