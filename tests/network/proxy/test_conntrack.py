import socket
import struct

from kajitori.network.proxy.conntrack import Flow, is_stale, parse_flow
from kajitori.network.proxy.proxy import changed_destinations

DNS = ("10.96.0.10", 53)
WANTED = {DNS: frozenset({("10.244.0.2", 53)}), ("", 30053): frozenset({("10.244.0.2", 53)})}


def flow(destination: tuple[str, int], answerer: tuple[str, int], protocol: int = socket.IPPROTO_UDP) -> Flow:
    return Flow(protocol, destination, answerer)


def test_a_flow_answered_by_a_dead_endpoint_is_stale() -> None:
    assert is_stale(flow(DNS, ("10.244.0.9", 53)), WANTED)
    assert not is_stale(flow(DNS, ("10.244.0.2", 53)), WANTED)


def test_a_flow_that_was_never_redirected_is_stale_for_a_cluster_ip_only() -> None:
    assert is_stale(flow(DNS, DNS), WANTED)
    assert not is_stale(flow(("192.0.2.2", 30053), ("192.0.2.2", 30053)), WANTED)
    assert is_stale(flow(("192.0.2.2", 30053), ("10.244.0.9", 53)), WANTED)


def test_other_destinations_and_tcp_are_left_alone() -> None:
    assert not is_stale(flow(("10.96.0.11", 53), ("10.244.0.9", 53)), WANTED)
    assert not is_stale(flow(DNS, ("10.244.0.9", 53), socket.IPPROTO_TCP), WANTED)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def endpoints(source: str, destination: str, source_port: int, destination_port: int) -> bytes:
    addresses = attribute(1, socket.inet_aton(source)) + attribute(2, socket.inet_aton(destination))
    ports = (
        attribute(1, b"\x11")
        + attribute(2, struct.pack(">H", source_port))
        + attribute(3, struct.pack(">H", destination_port))
    )
    return attribute(0x8001, addresses) + attribute(0x8002, ports)


def test_a_kernel_message_becomes_a_flow() -> None:
    original = endpoints("10.244.0.5", "10.96.0.10", 4000, 53)
    reply = endpoints("10.244.0.9", "10.244.0.5", 53, 4000)
    found = parse_flow(b"\x02\0\0\0" + attribute(0x8001, original) + attribute(0x8002, reply))
    assert found is not None
    assert (found.protocol, found.destination, found.answerer) == (17, DNS, ("10.244.0.9", 53))
    assert found.identity == attribute(0x8001, original)


def test_a_message_without_ports_is_skipped() -> None:
    assert parse_flow(b"\x02\0\0\0") is None


def test_destinations_change_when_an_endpoint_goes_or_the_first_comes() -> None:
    one, two = frozenset({("10.244.0.2", 53)}), frozenset({("10.244.0.2", 53), ("10.244.0.3", 53)})
    assert changed_destinations({DNS: two}, {DNS: one}) == {DNS: one}
    assert changed_destinations({}, {DNS: one}) == {DNS: one}
    assert changed_destinations({DNS: one}, {}) == {DNS: frozenset()}
    assert changed_destinations({DNS: one}, {DNS: two}) == {}
