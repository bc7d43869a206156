"""Ports that others have are named before anything starts."""

import socket
from collections.abc import Iterator

import pytest

from kajitori.app.ports import Claim, claims, refuse_taken_ports
from kajitori.app.record import ClusterRecord
from kajitori.cli.interface import CommandError


@pytest.fixture(params=[socket.SOCK_STREAM, socket.SOCK_DGRAM])
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[socket.SocketKind, int]]:
    with socket.socket(socket.AF_INET, request.param) as holder:
        holder.bind(("0.0.0.0", 0))
        if request.param == socket.SOCK_STREAM:
            holder.listen()
        yield request.param, holder.getsockname()[1]


def test_a_taken_port_names_its_use_and_the_remedy(taken: tuple[socket.SocketKind, int]) -> None:
    """Also for an address that comes to this host later, as the bridge's does."""
    kind, port = taken
    claim = Claim("the name server", "10.89.0.1", port, kind=kind)
    with pytest.raises(CommandError, match=f"port {port} of the name server is taken.*ss -.*stop what listens there"):
        refuse_taken_ports([claim])


def test_one_port_for_two_uses_is_refused() -> None:
    with pytest.raises(CommandError, match=r"both by the API server and by the Ingress \(HTTP\).*--http-port"):
        refuse_taken_ports([Claim("the API server", "127.0.0.1", 0), Claim("the Ingress (HTTP)", "", 0, "--http-port")])


def test_a_control_plane_alone_claims_its_own_port_on_loopback() -> None:
    assert [(claim.address, claim.port) for claim in claims(ClusterRecord(nodes=0, port=7443))] == [("127.0.0.1", 7443)]


def test_disabled_parts_claim_nothing() -> None:
    def ports(**values: object) -> set[int]:
        return {claim.port for claim in claims(ClusterRecord(**values))}  # type: ignore[arg-type]

    assert ports() == {6443, 10250, 80, 443, 53}
    assert ports(disable=("dns", "ingress")) == {6443, 10250}
