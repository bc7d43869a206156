"""The kinds of apiregistration.k8s.io."""

from kajitori.api.columns import extensions as extensions_columns
from kajitori.api.defaults import extensions
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import extensions as extensions_validation
from kajitori.api.validation import statuses

API_SERVICE = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    subresources=(
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_api_service_status
        ),
    ),
    definition="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    columns=extensions_columns.API_SERVICE,
    default=extensions.default_api_service,
    validate=extensions_validation.validate_api_service,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
)

RESOURCES = (API_SERVICE,)
