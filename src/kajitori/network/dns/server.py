"""The name server of a node: UDP and TCP on the node's address, answers from memory."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from typing import cast

from kajitori.client.cache import Cache
from kajitori.kit.clock import Clock, within
from kajitori.network.dns.directory import CacheDirectory
from kajitori.network.dns.responder import Responder
from kajitori.network.dns.upstream import Upstream, UpstreamConfig
from kajitori.network.dns.zone import Zone, ZoneConfig
from kajitori.network.errors import AddressTaken

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DnsServerConfig:
    address: str
    port: int = 53
    zone: ZoneConfig = field(default_factory=ZoneConfig)
    upstream: UpstreamConfig = field(default_factory=UpstreamConfig)
    connections_max: int = 128
    """TCP connections at once; one more is closed as soon as it is accepted."""
    idle_s: float = 10.0
    """How long a TCP connection may be silent."""
    pending_max: int = 1024
    """Datagrams being worked on at once; further ones are dropped, and the client asks again."""


class DnsServer:
    """Serves until cancelled. Raises AddressTaken when something else listens there."""

    def __init__(self, config: DnsServerConfig, cache: Cache, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._directory = CacheDirectory(cache)
        zone = Zone(config.zone, self._directory)
        self._responder = Responder(zone, Upstream(config.upstream, clock), clock)
        self._connections = 0
        self.ready = asyncio.Event()
        """Set while questions are answered from complete memory."""

    async def run(self) -> None:
        services, slices = self._directory.services, self._directory.endpoint_slices
        await services.synced()
        await slices.synced()
        unsubscribe = (services.subscribe(self._forget), slices.subscribe(self._forget))
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._listen(stack)
                self.ready.set()
                logger.info("cluster DNS answers on %s:%d", self._config.address, self._config.port)
                await asyncio.get_running_loop().create_future()
        finally:
            self.ready.clear()
            for end in unsubscribe:
                end()

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        config, loop = self._config, asyncio.get_running_loop()
        where = (config.address, config.port)
        try:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._responder, config.pending_max), local_addr=where
            )
            stack.callback(transport.close)
            server = await asyncio.start_server(self._serve_connection, *where)
            stack.callback(server.close)
        except OSError as error:
            raise AddressTaken("cluster DNS", *where, error.strerror or str(error)) from None

    def _forget(self, *_: object) -> None:
        self._responder.forget()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._connections >= self._config.connections_max:
            writer.close()
            return
        self._connections += 1
        try:
            while True:
                query = await within(self._clock, self._config.idle_s, _read_query(reader))
                answer = self._responder.respond_at_once(query, tcp=True)
                answer = answer or await self._responder.respond(query, tcp=True)
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer)
                await within(self._clock, self._config.idle_s, writer.drain())
        except (TimeoutError, EOFError, OSError):
            return
        finally:
            self._connections -= 1
            writer.close()


async def _read_query(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, responder: Responder, pending_max: int) -> None:
        self._responder = responder
        self._pending_max = pending_max
        self._pending: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        answer = self._responder.respond_at_once(data, tcp=False)
        if answer is not None:
            self._transport.sendto(answer, address)
        elif len(self._pending) < self._pending_max:
            task = asyncio.get_running_loop().create_task(self._respond(data, address))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _respond(self, data: bytes, address: tuple[str, int]) -> None:
        answer = await self._responder.respond(data, tcp=False)
        if answer is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(answer, address)
