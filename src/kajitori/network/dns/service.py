"""How pods find the name server: Service kube-system/kube-dns, and an EndpointSlice that each node keeps of itself."""

from kajitori.api.core import SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.errors import AlreadyExists, NotFound
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.client.interface import Client, PatchType

NAMESPACE = "kube-system"
NAME = "kube-dns"
MANAGED_BY = "kajitori.io/dns"


def dns_service(cluster_ip: str = "10.96.0.10") -> Object:
    """The Service as the cluster's bootstrap creates it. Without a selector: the endpoints are nodes."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
                {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
            ],
        },
    }


def dns_slice(node_name: str, node_ip: str) -> Object:
    """The node's own slice; the hint keeps its pods' questions on the node."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{NAME}-{node_name}",
            "namespace": NAMESPACE,
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
            },
        },
        "addressType": "IPv4",
        "ports": [
            {"name": "dns", "protocol": "UDP", "port": 53},
            {"name": "dns-tcp", "protocol": "TCP", "port": 53},
        ],
        "endpoints": [
            {
                "addresses": [node_ip],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": node_name,
                "hints": {"forNodes": [{"name": node_name}]},
            }
        ],
    }


async def ensure_service(client: Client, node_name: str, node_ip: str, cluster_ip: str = "10.96.0.10") -> None:
    """Announce this node's name server. Creates the Service only if bootstrap has not, and if it may.

    Call it once the server is ready, with the identity system:kajitori:dns.
    """
    try:
        await client.get(SERVICE, NAME, NAMESPACE)
    except NotFound:
        await _create(client, SERVICE, dns_service(cluster_ip))
    wanted = dns_slice(node_name, node_ip)
    try:
        found = await client.get(ENDPOINT_SLICE, wanted["metadata"]["name"], NAMESPACE)
    except NotFound:
        await _create(client, ENDPOINT_SLICE, wanted)
        return
    if any(found.get(part) != wanted[part] for part in ("endpoints", "ports")):
        change = {part: wanted[part] for part in ("endpoints", "ports")}
        change["metadata"] = {"labels": wanted["metadata"]["labels"]}
        await client.patch(ENDPOINT_SLICE, wanted["metadata"]["name"], change, NAMESPACE, patch_type=PatchType.MERGE)


async def _create(client: Client, resource: Resource, obj: Object) -> None:
    """Create unless another was faster."""
    try:
        await client.create(resource, obj)
    except AlreadyExists:
        return


async def withdraw(client: Client, node_name: str) -> None:
    """Take this node's name server out of the Service, before it stops for good."""
    try:
        await client.delete(ENDPOINT_SLICE, f"{NAME}-{node_name}", NAMESPACE)
    except NotFound:
        return
