"""The kinds of certificates.k8s.io."""

from kajitori.api import selectable
from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.defaults.status import begin_with, keep_request
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import signing_requests

CERTIFICATE_SIGNING_REQUEST = Resource(
    group="certificates.k8s.io",
    version="v1",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    subresources=(
        Subresource(
            name="approval", verbs=("get", "patch", "update"), validate_update=signing_requests.validate_approval
        ),
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=signing_requests.validate_certification
        ),
    ),
    definition="io.k8s.api.certificates.v1.CertificateSigningRequest",
    columns=cluster_columns.CERTIFICATE_SIGNING_REQUEST,
    selectable_fields=selectable.CERTIFICATE_SIGNING_REQUEST,
    validate=signing_requests.validate_signing_request,
    revalidate=signing_requests.revalidate_signing_request,
    validate_update=signing_requests.validate_signing_request_update,
    prepare_create=begin_with({}),
    prepare_update=keep_request,
)

RESOURCES = (CERTIFICATE_SIGNING_REQUEST,)
