"""Whether the ports that a cluster listens on are free, asked before anything is started."""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from kajitori.app.record import ClusterRecord, node_address
from kajitori.cli.interface import CommandError

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104
IP_FREEBIND = 15
"""Linux's, not in Python's `socket`: bind an address that no interface has yet (ip(7)). The bridge comes later."""

KUBELET_PORT, DNS_PORT = 10250, 53


@dataclass(frozen=True, slots=True)
class Claim:
    """One address that a part listens on; `option` moves it elsewhere, where there is one."""

    whose: str
    address: str
    port: int
    option: str = ""
    kind: socket.SocketKind = socket.SOCK_STREAM

    @property
    def _protocol(self) -> str:
        return "tcp" if self.kind == socket.SOCK_STREAM else "udp"

    def refusal(self, reason: str) -> CommandError:
        remedy = f"choose another with {self.option}" if self.option else "stop what listens there"
        asking = f"ss -Hlnp{self._protocol[0]} 'sport = :{self.port}'"
        return CommandError(
            f"{self._protocol} port {self.port} of {self.whose} is taken ({reason}): find by whom with `{asking}`, "
            f"then {remedy}"
        )


def claims(record: ClusterRecord, *, ingress: bool = True) -> list[Claim]:
    """Every address that processes on the host itself listen on; `ingress` is False when it listens already."""
    found = [Claim("the API server", EVERY_ADDRESS if record.nodes else "127.0.0.1", record.port, "--port")]
    if record.nodes:
        found.append(Claim("the kubelet", node_address("node-1"), KUBELET_PORT))
        if ingress and "ingress" not in record.disable:
            found.append(Claim("the Ingress (HTTP)", EVERY_ADDRESS, record.http_port, "--http-port"))
            found.append(Claim("the Ingress (HTTPS)", EVERY_ADDRESS, record.https_port, "--https-port"))
        if "dns" not in record.disable:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                found.append(Claim("the name server", node_address("node-1"), DNS_PORT, kind=kind))
    return found


def refuse_taken_ports(wanted: Iterable[Claim]) -> None:
    """Raises CommandError for the first that is taken, by another program or by another part of this cluster."""
    seen: dict[tuple[socket.SocketKind, int], str] = {}
    for claim in wanted:
        if other := seen.get((claim.kind, claim.port)):
            remedy = f"give another with {claim.option}" if claim.option else "give that another port"
            raise CommandError(f"port {claim.port} is asked for both by {other} and by {claim.whose}: {remedy}")
        seen[claim.kind, claim.port] = claim.whose
        _refuse_if_taken(claim)


def _refuse_if_taken(claim: Claim) -> None:
    with socket.socket(socket.AF_INET, claim.kind) as probe:
        if claim.kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        try:
            probe.bind((claim.address, claim.port))
        except OSError as error:
            if error.errno == errno.EACCES:
                remedy = f", or choose another with {claim.option}" if claim.option else ""
                raise CommandError(
                    f"port {claim.port} of {claim.whose} is for root only: run as root{remedy}"
                ) from error
            raise claim.refusal(error.strerror or str(error)) from error
