"""How pods find the name server: Service kube-system/kube-dns, and an EndpointSlice that each node keeps of itself."""

from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object
from kajitori.client.interface import Client, PatchType

NAMESPACE = "kube-system"
NAME = "kube-dns"
MANAGED_BY = "dns.kajitori.io"


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


async def ensure_service(client: Client, node_name: str, node_ip: str) -> None:
    """Announce this node's name server. The Service itself is the bootstrap's.

    Call it once the server is ready, with the identity system:kajitori:dns.
    """
    wanted = dns_slice(node_name, node_ip)
    name = wanted["metadata"]["name"]
    try:
        found = await client.get(ENDPOINT_SLICE, name, NAMESPACE)
    except NotFound:
        await client.create(ENDPOINT_SLICE, wanted)
        return
    if any(found.get(part) != wanted[part] for part in ("endpoints", "ports")):
        change = {part: wanted[part] for part in ("endpoints", "ports")}
        change["metadata"] = {"labels": wanted["metadata"]["labels"]}
        await client.patch(ENDPOINT_SLICE, name, change, NAMESPACE, patch_type=PatchType.MERGE)
