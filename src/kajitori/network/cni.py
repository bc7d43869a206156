"""How the runtime gives a pod its network: the plugins bridge, host-local and portmap, told by one conflist."""

import json
import logging
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from kajitori.api.core import NODE
from kajitori.api.meta import ObjectKey
from kajitori.client.cache import Cache
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.kit.files import replace_file
from kajitori.network.changes import Changes
from kajitori.network.command import ip_batch
from kajitori.network.errors import NetworkError
from kajitori.network.firewall import open_forwarding
from kajitori.network.host import mac_of, read_links
from kajitori.network.layout import CNI_NETWORK, POD_BRIDGE, ClusterNetwork
from kajitori.network.masquerade import apply_masquerade
from kajitori.network.routes import pod_cidr_of
from kajitori.network.sysctl import apply_sysctls

logger = logging.getLogger(__name__)

CONFLIST = "10-kajitori.conflist"
_RETRY = Backoff(initial_s=1.0, max_s=1.0)


@dataclass(frozen=True, slots=True)
class PodNetworkConfig:
    node_name: str
    conf_dir: Path
    """Where the node's containerd looks for conflists."""
    ipam_dir: Path
    """Where host-local keeps which pod has which address."""
    network: ClusterNetwork = field(default_factory=ClusterNetwork)


def conflist(pod_cidr: str, ipam_dir: Path, mtu: int) -> dict[str, Any]:
    """The network configuration list (CNI specification 1.0.0) of a node."""
    bridge = {
        "type": "bridge",
        "bridge": POD_BRIDGE,
        "isGateway": True,
        "isDefaultGateway": True,
        "forceAddress": True,
        "hairpinMode": True,
        "ipMasq": False,
        "mtu": mtu,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": pod_cidr}]], "dataDir": str(ipam_dir)},
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return {"cniVersion": "1.0.0", "name": CNI_NETWORK, "plugins": [bridge, portmap]}


def write_conflist(directory: Path, document: dict[str, Any]) -> bool:
    """Put the file in place in one step; returns whether it was news. The runtime must never read half of it."""
    path = directory / CONFLIST
    text = json.dumps(document, indent=2) + "\n"
    if path.exists() and path.read_text() == text:
        return False
    replace_file(path, text.encode(), 0o644)
    return True


def plan_pod_bridge(links: dict[str, frozenset[str]], pod_cidr: str, mtu: int) -> list[str]:
    """`ip` commands for the bridge that pods join.

    The plugin would make it too, but without `nf_call_iptables`: then a pod's answer to a neighbour on the same bridge
    would bypass address translation, and Services with endpoints on the same node would not work.
    """
    network = IPv4Network(pod_cidr)
    address = f"{network[1]}/{network.prefixlen}"
    commands = []
    if POD_BRIDGE not in links:
        commands.append(
            f"link add {POD_BRIDGE} address {mac_of(str(network[1]))} mtu {mtu} type bridge forward_delay 0"
        )
    commands += [
        f"address delete {old} dev {POD_BRIDGE}" for old in sorted(links.get(POD_BRIDGE, ())) if old != address
    ]
    if address not in links.get(POD_BRIDGE, ()):
        commands.append(f"address add {address} dev {POD_BRIDGE}")
    return [*commands, f"link set {POD_BRIDGE} type bridge nf_call_iptables 1", f"link set {POD_BRIDGE} up"]


class PodNetwork:
    """Readies the node's namespace for pods as soon as the node knows its pod range."""

    def __init__(self, config: PodNetworkConfig, cache: Cache, clock: Clock) -> None:
        self._config = config
        self._nodes = cache.informer(NODE)
        self._changes = Changes(clock, 0.0)
        self._pod_cidr = ""

    async def run(self) -> None:
        """Kernel settings, masquerading and forwarding first, then the conflist whenever the range is new."""
        await apply_sysctls()
        await apply_masquerade(self._config.network)
        await open_forwarding(self._config.network)
        await self._nodes.synced()
        unsubscribe = self._nodes.subscribe(self._changes.mark)
        try:
            await self._changes.follow(self._sync, _RETRY, self._failed)
        finally:
            unsubscribe()

    def _failed(self, error: NetworkError) -> None:
        logger.warning("the pod network is not ready: %s; trying again", error)

    async def _sync(self) -> None:
        node = self._nodes.get(ObjectKey("", self._config.node_name))
        pod_cidr = pod_cidr_of(node) if node else ""
        if pod_cidr and pod_cidr != self._pod_cidr:
            await self._settle(pod_cidr)
            self._pod_cidr = pod_cidr

    async def _settle(self, pod_cidr: str) -> None:
        mtu = self._config.network.mtu
        await ip_batch(plan_pod_bridge(await read_links(), pod_cidr, mtu))
        if write_conflist(self._config.conf_dir, conflist(pod_cidr, self._config.ipam_dir, mtu)):
            logger.info("pods of this node get addresses of %s", pod_cidr)
