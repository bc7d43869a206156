from typing import Any

from kajitori.network.proxy.endpoints import Backends, NodeView, backends

NODE = NodeView("one", zone="east")


def entry(ip: str, node: str = "", hints: dict[str, Any] | None = None, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "conditions": conditions, "nodeName": node, "hints": hints}


def look(*entries: dict[str, Any], **slice_fields: Any) -> Backends:
    ports = [{"name": "http", "port": 8080, "protocol": "TCP"}]
    return backends(
        [{"addressType": "IPv4", "ports": ports, "endpoints": entries, **slice_fields}], "http", "TCP", NODE
    )


def ips(found: tuple[Any, ...]) -> list[str]:
    return [endpoint.ip for endpoint in found]


def test_ready_endpoints_are_used_and_a_missing_condition_means_ready() -> None:
    found = look(entry("10.0.0.2", ready=True), entry("10.0.0.3", ready=False), entry("10.0.0.4"))
    assert ips(found.everywhere) == ["10.0.0.2", "10.0.0.4"]


def test_serving_while_terminating_is_the_last_resort() -> None:
    leaving = entry("10.0.0.2", ready=False, serving=True, terminating=True)
    assert ips(look(leaving, entry("10.0.0.3", ready=False)).everywhere) == ["10.0.0.2"]
    assert ips(look(leaving, entry("10.0.0.3", ready=True)).everywhere) == ["10.0.0.3"]


def test_local_endpoints_are_those_of_this_node_and_fall_back_on_their_own() -> None:
    found = look(
        entry("10.0.0.2", "one", ready=False, serving=True, terminating=True), entry("10.0.1.2", "two", ready=True)
    )
    assert (ips(found.everywhere), ips(found.local)) == (["10.0.1.2"], ["10.0.0.2"])


def test_hints_for_nodes_win_over_hints_for_zones() -> None:
    here = entry("10.0.0.2", "one", {"forNodes": [{"name": "one"}], "forZones": [{"name": "east"}]})
    near = entry("10.0.1.2", "two", {"forNodes": [{"name": "two"}], "forZones": [{"name": "east"}]})
    far = entry("10.0.2.2", "six", {"forNodes": [{"name": "six"}], "forZones": [{"name": "west"}]})
    assert ips(look(here, near, far).everywhere) == ["10.0.0.2"]
    assert ips(look(near, far).everywhere) == ["10.0.1.2"]
    assert ips(look(far).everywhere) == ["10.0.2.2"]


def test_one_endpoint_without_hints_voids_them() -> None:
    here = entry("10.0.0.2", "one", {"forNodes": [{"name": "one"}]})
    assert ips(look(here, entry("10.0.1.2")).everywhere) == ["10.0.0.2", "10.0.1.2"]


def test_other_ports_protocols_and_families_do_not_count() -> None:
    assert look(entry("10.0.0.2"), ports=[{"name": "admin", "port": 1}]).everywhere == ()
    assert look(entry("10.0.0.2"), ports=[{"name": "http", "port": 1, "protocol": "UDP"}]).everywhere == ()
    assert look(entry("::1"), addressType="IPv6").everywhere == ()


def test_an_address_in_two_slices_counts_once() -> None:
    assert ips(look(entry("10.0.0.2"), entry("10.0.0.2")).everywhere) == ["10.0.0.2"]
