"""How pods find the name server: Service kube-system/kube-dns, and an EndpointSlice that each node keeps of itself."""

import asyncio
import logging

from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, ObjectKey, key_of, name_of, uid_of
from kajitori.client.informer import Informer
from kajitori.client.interface import Client, Disconnected, PatchType, WatchEventType
from kajitori.kit.clock import Clock

logger = logging.getLogger(__name__)

NAMESPACE = "kube-system"
NAME = "kube-dns"
MANAGED_BY = "dns.kajitori.io"
RETRY_S = 1.0


def dns_slice(node: Object, node_ip: str) -> Object:
    """The node's own slice; the hint keeps its pods' questions on the node."""
    node_name = name_of(node)
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
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node_name, "uid": uid_of(node)}],
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


class Announcer:
    """Announces this node's name server, and again when its Node is another: with a Node its slice goes.

    `client` has the identity system:kajitori:dns. The Service itself is the bootstrap's.
    """

    def __init__(self, client: Client, nodes: Informer, clock: Clock, node_name: str, node_ip: str) -> None:
        self._client = client
        self._nodes = nodes
        self._clock = clock
        self._key = ObjectKey("", node_name)
        self._node_ip = node_ip
        self._changed = asyncio.Event()
        self.announced = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Start it once the server answers."""
        unsubscribe = self._nodes.subscribe(self._on_node)
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._announce()
        finally:
            unsubscribe()

    def _on_node(self, kind: WatchEventType, node: Object, _old: Object | None) -> None:
        if kind is WatchEventType.ADDED and key_of(node) == self._key:
            self._changed.set()

    async def _announce(self) -> None:
        while node := self._nodes.get(self._key):
            try:
                await ensure_slice(self._client, node, self._node_ip)
                self.announced.set()
                return
            except (StatusError, Disconnected) as error:
                logger.warning("DNS of %s is not announced yet: %s", self._key.name, error)
                await self._clock.sleep(RETRY_S)


async def ensure_slice(client: Client, node: Object, node_ip: str) -> None:
    wanted = dns_slice(node, node_ip)
    name = wanted["metadata"]["name"]
    try:
        found = await client.get(ENDPOINT_SLICE, name, NAMESPACE)
    except NotFound:
        await client.create(ENDPOINT_SLICE, wanted)
        return
    is_owned = found["metadata"].get("ownerReferences") == wanted["metadata"]["ownerReferences"]
    if not is_owned or any(found.get(part) != wanted[part] for part in ("endpoints", "ports")):
        change = {part: wanted[part] for part in ("endpoints", "ports")}
        change["metadata"] = {part: wanted["metadata"][part] for part in ("labels", "ownerReferences")}
        await client.patch(ENDPOINT_SLICE, name, change, NAMESPACE, patch_type=PatchType.MERGE)
