"""The objects that make this cluster one: namespaces, classes, the `kubernetes` Service and its addresses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from kajitori.api import core, discovery, networking, scheduling, storage
from kajitori.api.meta import Object
from kajitori.api.resource import Resource

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITY_CLASSES = (
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
)
_INGRESS_CLASS: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "kajitori", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
    "spec": {"controller": "kajitori.io/ingress"},
}
_STORAGE_CLASS: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "kajitori.io/local-path",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the objects say of this cluster. `address` is where pods reach the API server; loopback is left out."""

    address: str
    port: int
    service_ip: str
    service_cidr: str
    dns_ip: str
    """Address of the Service kube-dns."""
    trusted: Mapping[str, str]
    """What extension API servers are told of whom this one trusts."""
    has_ingress: bool = True
    """Whether a node of ours serves Ingresses; only then is there a class for them by default."""
    has_volumes: bool = True
    """The same for local-path volumes."""


def namespaces() -> Iterator[tuple[Resource, Object]]:
    for name in NAMESPACES:
        labels = {"kubernetes.io/metadata.name": name}
        yield (
            core.NAMESPACE,
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": labels},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            },
        )


def defaults(facts: ClusterFacts) -> Iterator[tuple[Resource, Object]]:
    """What is created when it is missing, and a user's own after that."""
    for name, value, description in _PRIORITY_CLASSES:
        yield (
            scheduling.PRIORITY_CLASS,
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": description,
                "preemptionPolicy": "PreemptLowerPriority",
            },
        )
    yield core.SERVICE, _dns_service(facts)
    yield (
        networking.SERVICE_CIDR,
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "ServiceCIDR",
            "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
            "spec": {"cidrs": [facts.service_cidr]},
            "status": {},
        },
    )
    if facts.has_ingress:
        yield networking.INGRESS_CLASS, _INGRESS_CLASS
    if facts.has_volumes:
        yield storage.STORAGE_CLASS, _STORAGE_CLASS


def _dns_service(facts: ClusterFacts) -> Object:
    """Without a selector: the name servers are parts of the nodes, and each keeps an EndpointSlice of its own."""
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
    }
    ports = [
        {"name": name, "protocol": protocol, "port": 53, "targetPort": 53}
        for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": facts.dns_ip,
            "clusterIPs": [facts.dns_ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "ports": ports,
        },
        "status": {"loadBalancer": {}},
    }


def own(facts: ClusterFacts) -> Iterator[tuple[Resource, Object]]:
    """What follows this server's own facts at every start."""
    yield core.SERVICE, _service(facts)
    if not ip_address(facts.address).is_loopback:  # a control plane without nodes has nobody who could reach it so
        yield core.ENDPOINTS, _endpoints(facts)
        yield discovery.ENDPOINT_SLICE, _endpoint_slice(facts)
    yield core.CONFIG_MAP, _extension_authentication(facts)


def _service(facts: ClusterFacts) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": facts.service_ip,
            "clusterIPs": [facts.service_ip],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": facts.port}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }


def _endpoints(facts: ClusterFacts) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": facts.address}],
                "ports": [{"name": "https", "port": facts.port, "protocol": "TCP"}],
            }
        ],
    }


def _endpoint_slice(facts: ClusterFacts) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [facts.address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": facts.port, "protocol": "TCP"}],
    }


def _extension_authentication(facts: ClusterFacts) -> Object:
    """Where an extension API server learns whom this one trusts."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": dict(facts.trusted),
    }
