"""The kinds of certificates.k8s.io."""

from kajitori.api import selectable
from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import extensions as extensions_validation

CERTIFICATE_SIGNING_REQUEST = Resource(
    group="certificates.k8s.io",
    version="v1",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    subresources=(
        Subresource(name="approval", verbs=("get", "patch", "update")),
        Subresource(name="status", verbs=("get", "patch", "update")),
    ),
    definition="io.k8s.api.certificates.v1.CertificateSigningRequest",
    columns=cluster_columns.CERTIFICATE_SIGNING_REQUEST,
    selectable_fields=selectable.CERTIFICATE_SIGNING_REQUEST,
    validate=extensions_validation.validate_signing_request,
    validate_update=extensions_validation.validate_signing_request_update,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
)

RESOURCES = (CERTIFICATE_SIGNING_REQUEST,)
