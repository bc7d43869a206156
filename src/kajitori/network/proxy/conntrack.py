"""Forgetting UDP flows whose endpoint is gone. A flow keeps the endpoint it began with; a client that goes on sending
from one port, as DNS resolvers do, would talk to a dead pod until the flow times out.

Speaks ctnetlink (linux/netfilter/nfnetlink_conntrack.h) on a plain socket.
"""

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kajitori.network.proxy.rules import Destination, Sender

_NETLINK_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ZONE = 1, 2, 18
_IP, _PROTOCOL = 1, 2
_SOURCE, _DESTINATION = 1, 2
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_BUFFER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Flow:
    """A tracked connection: where the client sent to, who answers, and what the kernel calls it (`identity`)."""

    protocol: int
    destination: Destination
    answerer: Sender
    identity: bytes = b""


def is_stale(flow: Flow, wanted: Mapping[Destination, frozenset[Sender]]) -> bool:
    """Whether a UDP flow to one of these destinations is answered by no endpoint of it."""
    if flow.protocol != socket.IPPROTO_UDP:
        return False
    senders = wanted.get(flow.destination)
    if senders is None:
        # A node port: any local address, but only when the flow was redirected at all.
        senders = wanted.get(("", flow.destination[1])) if flow.answerer != flow.destination else None
    return senders is not None and flow.answerer not in senders


def forget_stale(wanted: Mapping[Destination, frozenset[Sender]]) -> int:
    """Delete stale flows of these destinations; returns how many. Blocks for the length of a dump: use a thread."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as link:
        link.bind((0, 0))
        stale = [flow for flow in _dump(link) if is_stale(flow, wanted)]
        for sequence, flow in enumerate(stale, start=2):
            link.send(_message(_DELETE, _REQUEST | _ACK, sequence, flow.identity))
            link.recv(_BUFFER_BYTES)
    return len(stale)


def _dump(link: socket.socket) -> Iterator[Flow]:
    link.send(_message(_GET, _REQUEST | _DUMP, 1))
    while True:
        data = link.recv(_BUFFER_BYTES)
        for kind, body in _messages(data):
            if kind in (_DONE, _ERROR):
                return
            if flow := parse_flow(body):
                yield flow


def _message(kind: int, flags: int, sequence: int, attributes: bytes = b"") -> bytes:
    family = struct.pack("BBH", socket.AF_INET, 0, 0)
    return struct.pack("=IHHII", 20 + len(attributes), kind, flags, sequence, 0) + family + attributes


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def parse_flow(body: bytes) -> Flow | None:
    """A flow from the body of a ctnetlink message; None for what is not IPv4 with ports."""
    attributes = _attributes(body[4:])
    try:
        original, reply = attributes[_TUPLE_ORIGINAL], attributes[_TUPLE_REPLY]
        addresses, ports = _attributes(_attributes(original)[_IP]), _attributes(_attributes(original)[_PROTOCOL])
        senders, sender_ports = _attributes(_attributes(reply)[_IP]), _attributes(_attributes(reply)[_PROTOCOL])
        return Flow(
            protocol=ports[_NUMBER][0],
            destination=(socket.inet_ntoa(addresses[_DESTINATION]), _port(ports[_DESTINATION_PORT])),
            answerer=(socket.inet_ntoa(senders[_SOURCE]), _port(sender_ports[_SOURCE_PORT])),
            identity=_nest(_TUPLE_ORIGINAL, original) + _zone(attributes),
        )
    except (KeyError, OSError):
        return None


def _port(value: bytes) -> int:
    return int.from_bytes(value[:2], "big")


def _nest(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind | _NESTED) + value


def _zone(attributes: Mapping[int, bytes]) -> bytes:
    zone = attributes.get(_ZONE)
    return struct.pack("=HH", 6, _ZONE) + zone[:2] + b"\0\0" if zone else b""
