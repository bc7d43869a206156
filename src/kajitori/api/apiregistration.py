"""The kinds of apiregistration.k8s.io."""

from kajitori.api.resource import Resource, Subresource

API_SERVICE = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
)

RESOURCES = (API_SERVICE,)
