"""Pods and nodes reach the world under the address of the machine they leave."""

from kajitori.network.command import nft
from kajitori.network.layout import TABLE_PREFIX, ClusterNetwork

TABLE = f"{TABLE_PREFIX}masquerade"


def masquerade_rules(network: ClusterNetwork) -> str:
    """An nftables transaction. Traffic inside the cluster keeps its addresses, as the pod network model asks."""
    cluster = f"{{ {network.pod_cidr}, {network.node_cidr} }}"
    outside = f"ip daddr != {cluster} ip daddr != 224.0.0.0/4"
    return f"""\
add table ip {TABLE}
delete table ip {TABLE}
table ip {TABLE} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {network.pod_cidr} {outside} masquerade fully-random
    ip saddr {network.node_cidr} oifname != "{network.bridge}" {outside} masquerade fully-random
  }}
}}
"""


async def apply_masquerade(network: ClusterNetwork) -> None:
    await nft(masquerade_rules(network))
