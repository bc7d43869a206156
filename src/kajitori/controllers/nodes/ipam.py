"""Giving every node a pod network of its own out of the cluster's."""

import ipaddress
from collections.abc import Iterable

from kajitori.api.core import NODE
from kajitori.api.meta import Object, ObjectKey, name_of
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, own


def free_cidr(cluster: str, prefix_length: int, taken: Iterable[str]) -> str | None:
    """The lowest network that overlaps with none; None when the cluster's is used up."""
    whole = ipaddress.ip_network(cluster)
    used = [ipaddress.ip_network(cidr) for cidr in taken if cidr]
    starts = {int(network.network_address) for network in used if network.prefixlen == prefix_length}
    odd = [network for network in used if network.prefixlen != prefix_length]
    for candidate in whole.subnets(new_prefix=prefix_length):
        if int(candidate.network_address) not in starts and not any(candidate.overlaps(other) for other in odd):
            return str(candidate)
    return None


class NodeIpamController(Controller):
    """One worker: two nodes must not get the same network."""

    name = "node-ipam-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informer(NODE)
        self.events = context.recorder("cidrAllocator")

    def sources(self) -> Iterable[Source]:
        return (own(NODE, changed=lambda new, old: _cidrs(new) != _cidrs(old)),)

    async def reconcile(self, key: ObjectKey) -> float | None:
        node = self.nodes.get(key)
        if node is None:
            # What it had is free: whoever found nothing may try again.
            for other in self.nodes.list():
                if not _cidrs(other):
                    self.queue.add(ObjectKey("", name_of(other)))
            return None
        if _cidrs(node):
            return None
        settings = self.context.settings
        taken = [cidr for other in self.nodes.list() for cidr in _cidrs(other)]
        cidr = free_cidr(settings.pod_cidr, settings.node_prefix_length, taken)
        if cidr is None:
            message = f"Node {key.name} status is now: CIDRNotAvailable"
            self.events.event(node, "Normal", "CIDRNotAvailable", message)
            return None
        await self.writes.patch(NODE, node, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})
        return None


def _cidrs(node: Object) -> list[str]:
    return list(node["spec"].get("podCIDRs") or ([node["spec"]["podCIDR"]] if node["spec"].get("podCIDR") else []))
