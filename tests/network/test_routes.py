from typing import Any

from kajitori.network.routes import PROTOCOL, parse_routes, plan_routes, wanted_routes


def node(name: str, cidr: str, address: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {},
        "status": {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]},
    }


def test_every_other_node_with_a_pod_range_gets_a_route() -> None:
    nodes = [
        node("one", "10.244.0.0/24", "10.89.0.1"),
        node("two", "10.244.1.0/24", "10.89.0.2"),
        node("new", "", "10.89.0.3"),
    ]
    assert wanted_routes(nodes, "one") == {"10.244.1.0/24": "10.89.0.2"}


def test_only_differences_become_commands() -> None:
    wanted = {"10.244.1.0/24": "10.89.0.2", "10.244.2.0/24": "10.89.0.3"}
    observed = {"10.244.1.0/24": "10.89.0.2", "10.244.9.0/24": "10.89.0.9"}
    assert plan_routes(wanted, observed) == [
        f"route delete 10.244.9.0/24 proto {PROTOCOL}",
        f"route replace 10.244.2.0/24 via 10.89.0.3 proto {PROTOCOL}",
    ]
    assert plan_routes(wanted, wanted) == []


def test_routes_are_read_as_ip_prints_them() -> None:
    printed = [{"dst": "10.244.1.0/24", "gateway": "10.89.0.2", "dev": "kajitori0", "flags": []}]
    assert parse_routes(printed) == {"10.244.1.0/24": "10.89.0.2"}
