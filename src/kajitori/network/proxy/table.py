"""The part of the table that stands still: maps, sets, base chains. A packet costs the same with 10 Services or 10,000.

prerouting, output (nat)     address . protocol . port -> chain of the Service port -> one endpoint
postrouting (nat)            marked or hairpin connections get this node's address
input, forward, output       a Service port without endpoints answers "port unreachable"
raw prerouting               nobody but this machine itself reaches 127.0.0.0/8, though route_localnet is on
"""

import hashlib
from dataclasses import dataclass

from kajitori.network.layout import TABLE_PREFIX

TABLE = f"{TABLE_PREFIX}proxy"

SERVICE_IPS = "service-ips"
NODE_PORTS = "node-ports"
DEAD_IPS = "dead-service-ips"
DEAD_PORTS = "dead-node-ports"
HAIRPIN = "hairpin"
REFUSE = "refuse"
BASE_CHAINS = frozenset(
    {
        *("raw-prerouting", "nat-prerouting", "nat-output", "nat-postrouting"),
        *("filter-input", "filter-forward", "filter-output", "services", "dead-services", REFUSE),
    }
)

MARK = 0x4000
MARK_FOR_MASQUERADE = f"meta mark set meta mark | {MARK:#x}"

# While the node's name server restarts, a resolver that hears "port unreachable" gives up at once; one that hears
# nothing asks again. So that answer is kept back: the destination port of the quoted packet stands behind the ICMP
# header, an IPv4 header and the source port.
_DNS_PORT = 53
_QUOTED_PORT_BIT = (8 + 20 + 2) * 8


@dataclass(frozen=True, slots=True)
class TableConfig:
    """Address ranges of the cluster, in CIDR form."""

    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    node_cidr: str = "10.89.0.0/24"


def skeleton(config: TableConfig) -> str:
    """The table, empty of Services. Replaces whatever was there, in the same transaction."""
    body = f"{_body(config)}  chain {version(config)} {{ }}\n"
    return f"add table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{body}}}\n"


def version(config: TableConfig) -> str:
    """An empty chain by whose name a later process knows that it may build on the table it finds."""
    return f"version-{hashlib.sha256(_body(config).encode()).hexdigest()[:16]}"


def _body(config: TableConfig) -> str:
    return f"""\
  map {SERVICE_IPS} {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map {NODE_PORTS} {{ type inet_proto . inet_service : verdict; }}
  map {DEAD_IPS} {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map {DEAD_PORTS} {{ type inet_proto . inet_service : verdict; }}
  set {HAIRPIN} {{ type ipv4_addr . ipv4_addr; }}

  chain raw-prerouting {{
    type filter hook prerouting priority raw; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
  }}
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }}
  chain nat-output {{
    type nat hook output priority -100; policy accept;
    jump services
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat - 5; policy accept;
    meta mark & {MARK:#x} == {MARK:#x} meta mark set meta mark & {0xFFFFFFFF ^ MARK:#x} masquerade fully-random
    ip saddr . ip daddr @{HAIRPIN} masquerade fully-random
  }}
  chain services {{
    ip daddr {config.service_cidr} ip saddr != {{ {config.pod_cidr}, {config.node_cidr} }} {MARK_FOR_MASQUERADE}
    ip daddr . meta l4proto . th dport vmap @{SERVICE_IPS}
    fib daddr type local meta l4proto . th dport vmap @{NODE_PORTS}
  }}
  chain filter-input {{
    type filter hook input priority filter; policy accept;
    ct state new jump dead-services
  }}
  chain filter-forward {{
    type filter hook forward priority filter; policy accept;
    ct state new jump dead-services
    ct state new ip daddr {config.service_cidr} goto {REFUSE}
  }}
  chain filter-output {{
    type filter hook output priority filter; policy accept;
    icmp type destination-unreachable icmp code port-unreachable @th,{_QUOTED_PORT_BIT},16 {_DNS_PORT} drop
    ct state new jump dead-services
    ct state new ip daddr {config.service_cidr} goto {REFUSE}
  }}
  chain dead-services {{
    ip daddr . meta l4proto . th dport vmap @{DEAD_IPS}
    fib daddr type local meta l4proto . th dport vmap @{DEAD_PORTS}
  }}
  chain {REFUSE} {{
    reject with icmp type port-unreachable
  }}
"""
