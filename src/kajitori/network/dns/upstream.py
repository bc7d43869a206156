"""Asking the host's resolvers about names that are not the cluster's."""

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from kajitori.kit.clock import Clock, within

logger = logging.getLogger(__name__)

Server = tuple[str, int]
_RESOLVED_STUB = "127.0.0.53"


class Unreachable(Exception):
    """No resolver answered, or too many questions wait for one already."""


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    servers: tuple[Server, ...] = ()
    timeout_s: float = 2.0
    """How long one resolver may take."""
    rest_s: float = 3.0
    """How long a resolver that did not answer is left alone; a machine without network then fails fast."""
    concurrency: int = 256
    """Questions under way at once; one more is refused (SERVFAIL), and the client asks again."""


def read_resolvers(own: tuple[str, ...] = (), root: Path = Path("/")) -> tuple[Server, ...]:
    """The host's resolvers, but none of our `own` addresses, and the real ones behind systemd-resolved's stub."""
    found = _nameservers(root / "etc/resolv.conf")
    if _RESOLVED_STUB in found:
        found = _nameservers(root / "run/systemd/resolve/resolv.conf") or found
    return tuple((address, 53) for address in found if address not in own)


def _nameservers(path: Path) -> list[str]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]


class Upstream:
    """Sends a question on as it came, and gives the answer back as it comes."""

    def __init__(self, config: UpstreamConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._free = config.concurrency
        self._resting_until_s: dict[Server, float] = {}

    async def ask(self, query: bytes, *, tcp: bool = False) -> bytes:
        """The first answer of a resolver, with the id of the query. Raises Unreachable."""
        if self._free <= 0:
            raise Unreachable(f"{self._config.concurrency} questions wait for the host's resolvers already")
        self._free -= 1
        try:
            return await self._ask_each(query, tcp)
        finally:
            self._free += 1

    async def _ask_each(self, query: bytes, tcp: bool) -> bytes:
        for server in self._config.servers:
            if self._clock.monotonic() < self._resting_until_s.get(server, 0.0):
                continue
            exchange = _over_tcp if tcp else _over_udp
            # A fresh id, so that one client cannot foresee what another's answer must look like.
            own_id = secrets.token_bytes(2)
            try:
                answer = await within(self._clock, self._config.timeout_s, exchange(server, own_id + query[2:]))
            except (OSError, TimeoutError, EOFError) as error:
                self._resting_until_s[server] = self._clock.monotonic() + self._config.rest_s
                logger.info("resolver %s:%d: %s", *server, error or type(error).__name__)
                continue
            return query[:2] + answer[2:]
        raise Unreachable("no resolver of the host answered")


async def _over_udp(server: Server, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Exchange(query, answer), remote_addr=server)
    try:
        return await answer
    finally:
        transport.close()


async def _over_tcp(server: Server, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class _Exchange(asyncio.DatagramProtocol):
    """One question on a socket of its own; datagrams that answer something else are ignored."""

    def __init__(self, query: bytes, answer: "asyncio.Future[bytes]") -> None:
        self._query = query
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.DatagramTransport, transport).sendto(self._query)

    def datagram_received(self, data: bytes, address: object) -> None:
        if len(data) >= 12 and data[:2] == self._query[:2] and not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
