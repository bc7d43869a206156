"""gRPC to the members of an etcd cluster: one member at a time, the next one when it does not answer."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs

# Children are only ever spawned (fork and exec at once); gRPC's handlers for plain forks would warn at each of them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
import grpc.aio

from kajitori.storage.interface import CannotOpen

T = TypeVar("T")

DEFAULT_PREFIX = "/kajitori"
CALL_TIMEOUT_S = 10.0
# A watch on a member that vanished without a word ends within 20 + 10 seconds.
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A member that comes back is found again at once; gRPC's own bound is two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


@dataclass(frozen=True, slots=True)
class EtcdAddress:
    """`etcd://host:port,host:port[/prefix][?ca=FILE&cert=FILE&key=FILE]`; TLS when any of these is given; without
    a CA, the system's."""

    members: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @classmethod
    def parse(cls, url: str) -> "EtcdAddress":
        """Raises CannotOpen."""
        # By hand: urllib refuses several members when one of them is an IPv6 address.
        scheme, _, rest = url.partition("://")
        rest, _, query = rest.partition("?")
        hosts, _, path = rest.partition("/")
        members = tuple(member for member in hosts.split(",") if member)
        if scheme != "etcd" or not members or not all(m.rpartition(":")[2].isdigit() for m in members):
            raise CannotOpen(f"store {url!r}: not an etcd address; give etcd://host:port,host:port")
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        if unknown := given.keys() - {"ca", "cert", "key"}:
            raise CannotOpen(f"store {url!r}: unknown setting {min(unknown)!r}; there are ca, cert and key")
        prefix = f"/{path.rstrip('/')}" if path.rstrip("/") else DEFAULT_PREFIX
        return cls(members, prefix, given.get("ca", ""), given.get("cert", ""), given.get("key", ""))


class Members:
    """Channels to every member, opened when first used."""

    def __init__(self, address: EtcdAddress) -> None:
        self.address = address
        self._credentials = _credentials(address)
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._chosen = 0

    @property
    def secured(self) -> bool:
        return self._credentials is not None

    @property
    def chosen(self) -> str:
        return self.address.members[self._chosen % len(self.address.members)]

    def turn_from(self, member: str) -> None:
        """Use another one from now on, unless someone has already turned away from this one."""
        if member == self.chosen:
            self._chosen += 1

    def channel(self) -> grpc.aio.Channel:
        member = self.chosen
        if member not in self._channels:
            if self._credentials is None:
                self._channels[member] = grpc.aio.insecure_channel(member, options=_OPTIONS)
            else:
                self._channels[member] = grpc.aio.secure_channel(member, self._credentials, options=_OPTIONS)
        return self._channels[member]

    async def call(self, method: str, request: Any, response: Callable[[bytes], T]) -> T:
        """One call to the chosen member. Raises grpc.aio.AioRpcError."""
        stub = self.channel().unary_unary(
            method, request_serializer=type(request).SerializeToString, response_deserializer=response
        )
        return await stub(request, timeout=CALL_TIMEOUT_S)  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Let calls under way come to their end."""
        for channel in self._channels.values():
            await channel.close(grace=CALL_TIMEOUT_S)


def _credentials(address: EtcdAddress) -> Any:
    if not (address.ca or address.certificate or address.key):
        return None
    if bool(address.certificate) != bool(address.key):
        raise CannotOpen("the etcd connection needs a certificate and its key: give both, or neither")
    ca, key, certificate = (_read(path) for path in (address.ca, address.key, address.certificate))
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _read(path: str) -> bytes | None:
    try:
        return Path(path).read_bytes() if path else None
    except OSError as error:
        raise CannotOpen(f"{path}: {error.strerror}: give a readable file for the etcd connection") from error


UNREACHABLE: Sequence[grpc.StatusCode] = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
