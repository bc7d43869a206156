"""The kinds of discovery.k8s.io."""

from kajitori.api.columns import networks as networks_columns
from kajitori.api.defaults import networks
from kajitori.api.resource import Resource
from kajitori.api.validation import services as services_validation
from kajitori.api.warnings import networks as networks_warnings

ENDPOINT_SLICE = Resource(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    definition="io.k8s.api.discovery.v1.EndpointSlice",
    columns=networks_columns.ENDPOINT_SLICE,
    default=networks.default_endpoint_slice,
    validate=services_validation.validate_endpoint_slice,
    validate_update=services_validation.validate_endpoint_slice_update,
    counts_generation=True,
    warnings=networks_warnings.endpoint_slice_warnings,
)

RESOURCES = (ENDPOINT_SLICE,)
