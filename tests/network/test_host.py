from kajitori.network.host import find_clash, mac_of, parse_links, plan_bridge, plan_uplink
from kajitori.network.layout import ClusterNetwork, netns_of
from kajitori.network.sysctl import plan_sysctls

NETWORK = ClusterNetwork()


def test_the_first_node_is_the_host_and_others_have_namespaces() -> None:
    assert (NETWORK.node_ip(1), netns_of(1)) == ("10.89.0.1", "")
    assert (NETWORK.node_ip(3), netns_of(3)) == ("10.89.0.3", "kajitori-node-3")


def test_a_bridge_that_stands_is_kept() -> None:
    fresh = plan_bridge({}, NETWORK)
    again = plan_bridge({"kajitori0": frozenset({"10.89.0.1/24"})}, NETWORK)
    assert fresh[0].startswith("link add kajitori0 address 0a:58:0a:59:00:01")
    assert [c for c in again if " add " in c] == []


def test_an_uplink_that_stands_is_only_attached() -> None:
    assert plan_uplink({"kajitori-n2": frozenset()}, NETWORK, 2) == [
        "link set kajitori-n2 master kajitori0",
        "link set kajitori-n2 type bridge_slave hairpin on",
        "link set kajitori-n2 up",
    ]


def test_an_overlapping_address_of_another_link_is_named() -> None:
    assert find_clash({"eth0": frozenset({"10.89.0.7/16"})}, NETWORK).startswith(
        "node network 10.89.0.0/24 overlaps 10.89.0.7/16 of eth0"
    )
    assert find_clash({"kajitori0": frozenset({"10.89.0.1/24"})}, NETWORK) == ""


def test_links_are_read_with_and_without_addresses() -> None:
    addresses = [{"ifname": "eth0", "addr_info": [{"local": "192.0.2.2", "prefixlen": 24}]}, {}]
    assert parse_links(addresses, [{"ifname": "eth0"}, {"ifname": "br0"}]) == {
        "eth0": frozenset({"192.0.2.2/24"}),
        "br0": frozenset(),
    }


def test_hardware_addresses_follow_from_the_address() -> None:
    assert mac_of("10.244.0.1") == "0a:58:0a:f4:00:01"


def test_only_settings_that_differ_are_written_and_strict_filtering_is_loosened() -> None:
    current = {
        "net/ipv4/ip_forward": "1",
        "net/ipv4/conf/all/route_localnet": "0",
        "net/ipv4/conf/all/rp_filter": "0",
        "net/ipv4/conf/default/rp_filter": "1",
    }
    assert plan_sysctls(current.get) == {
        "net/ipv4/conf/all/route_localnet": "1",
        "net/ipv4/conf/all/rp_filter": "2",
    }
