"""The kinds of discovery.k8s.io."""

from kajitori.api.resource import Resource

ENDPOINT_SLICE = Resource(
    group="discovery.k8s.io",
    version="v1",
    kind="EndpointSlice",
    plural="endpointslices",
    definition="io.k8s.api.discovery.v1.EndpointSlice",
)

RESOURCES = (ENDPOINT_SLICE,)
