from typing import Any

from kajitori.network.firewall import COMMENT, DroppingChain, find_dropping, find_inserted, find_openings
from kajitori.network.layout import ClusterNetwork
from kajitori.network.removal import find_tables, plan_hostport_removal, plan_link_removal


def chain(name: str, family: str = "ip", **more: Any) -> dict[str, Any]:
    return {"chain": {"family": family, "table": "nat", "name": name, **more}}


def nat(family: str = "ip") -> dict[str, Any]:
    return {"table": {"family": family, "name": "nat"}}


def jump(source: str, target: str, handle: int) -> dict[str, Any]:
    expression = [{"jump": {"target": target}}]
    return {"rule": {"family": "ip", "table": "nat", "chain": source, "handle": handle, "expr": expression}}


def test_only_links_with_our_names_go() -> None:
    links = ["lo", "eth0", "docker0", "kajitori0", "kajitori-n2", "kajitori-nx", "cni-kajitori", "cni-podman0"]
    assert plan_link_removal(links, ClusterNetwork()) == [
        "link delete cni-kajitori",
        "link delete kajitori-n2",
        "link delete kajitori0",
    ]


def test_only_tables_with_our_names_go() -> None:
    listing = [{"metainfo": {}}, *({"table": {"family": "ip", "name": n}} for n in ("nat", "kajitori-proxy"))]
    assert find_tables(listing) == [("ip", "kajitori-proxy")]


def test_the_nat_table_goes_when_only_the_portmap_plugin_used_it() -> None:
    listing = [nat(), chain("PREROUTING", hook="prerouting"), chain("CNI-HOSTPORT-DNAT")]
    listing.append(jump("PREROUTING", "CNI-HOSTPORT-DNAT", 4))
    assert plan_hostport_removal(listing) == ["delete table ip nat\n"]


def test_the_empty_table_for_version_six_goes_too_and_another_s_stays() -> None:
    empty = [nat("ip6"), chain("OUTPUT", "ip6", hook="output")]
    listing = [nat(), chain("CNI-HOSTPORT-DNAT"), *empty]
    assert plan_hostport_removal(listing) == ["delete table ip nat\n", "delete table ip6 nat\n"]
    assert plan_hostport_removal([*listing, chain("DOCKER", "ip6")]) == ["delete table ip nat\n"]
    assert plan_hostport_removal(empty) == []


def test_rules_of_others_stay_in_the_nat_table() -> None:
    listing = [nat(), chain("PREROUTING", hook="prerouting"), chain("DOCKER"), chain("CNI-HOSTPORT-DNAT")]
    listing += [jump("PREROUTING", "CNI-HOSTPORT-DNAT", 4), jump("PREROUTING", "DOCKER", 5)]
    assert plan_hostport_removal(listing) == [
        "delete rule ip nat PREROUTING handle 4\n",
        "flush chain ip nat CNI-HOSTPORT-DNAT\n",
        "delete chain ip nat CNI-HOSTPORT-DNAT\n",
    ]


def test_chains_in_use_by_another_runtime_stay() -> None:
    assert plan_hostport_removal([nat(), chain("CNI-HOSTPORT-DNAT"), chain("CNI-DN-1234")]) == []


def test_a_firewall_that_drops_forwarded_traffic_is_found() -> None:
    listing = [
        {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}},
        {"chain": {"family": "inet", "table": "mine", "name": "fwd", "hook": "forward", "policy": "accept"}},
        {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}},
    ]
    assert find_dropping(listing) == [DroppingChain("ip", "filter", "FORWARD")]


def test_our_openings_are_found_by_their_comment() -> None:
    rule = {"family": "inet", "table": "mine", "chain": "fwd", "handle": 9, "expr": []}
    assert find_openings([{"rule": {**rule, "comment": COMMENT}}, {"rule": rule}]) == [("inet", "mine", "fwd", 9)]
    printed = "-P FORWARD DROP\n-A FORWARD -s 10.244.0.0/16 -m comment --comment kajitori -j ACCEPT\n-A FORWARD -j X\n"
    assert [" ".join(arguments) for arguments in find_inserted(printed)] == [
        "-D FORWARD -s 10.244.0.0/16 -m comment --comment kajitori -j ACCEPT"
    ]
