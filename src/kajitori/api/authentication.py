"""The kinds of authentication.k8s.io."""

from kajitori.api.resource import Resource

SELF_SUBJECT_REVIEW = Resource(
    group="authentication.k8s.io",
    version="v1",
    kind="SelfSubjectReview",
    plural="selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authentication.v1.SelfSubjectReview",
)

TOKEN_REVIEW = Resource(
    group="authentication.k8s.io",
    version="v1",
    kind="TokenReview",
    plural="tokenreviews",
    namespaced=False,
    verbs=("create",),
    definition="io.k8s.api.authentication.v1.TokenReview",
)

RESOURCES = (
    SELF_SUBJECT_REVIEW,
    TOKEN_REVIEW,
)
