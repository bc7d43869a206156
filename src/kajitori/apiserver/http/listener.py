"""The listening socket and its connections: start, drain, stop."""

import asyncio
import ssl
from weakref import WeakSet

from kajitori.apiserver.http import encoding
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.protocol import Application, HttpConnection
from kajitori.apiserver.http.sink import SharedChunk
from kajitori.kit.clock import Clock


class HttpServer:
    """Serves an application on one address."""

    def __init__(self, application: Application, clock: Clock, limits: Limits | None = None) -> None:
        self.application = application
        self.clock = clock
        self.limits = limits or Limits()
        self.date = encoding.DateHeader(clock.now)
        self.shared_chunk = SharedChunk()
        self.draining = False
        self.user_headers: tuple[str, ...] = ("impersonate-",)
        self._connections: set[HttpConnection] = set()
        self._listener: asyncio.AbstractServer | None = None
        self._wakeup = asyncio.Event()
        self._accepted = self._made = 0
        self._shaking: WeakSet[HttpConnection] = WeakSet()
        """Whose handshake has not ended; who fails is forgotten by whoever made it."""

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen; port 0 takes a free one. Returns the port. Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            self._accept if tls is not None else lambda: HttpConnection(self),
            host,
            port,
            ssl=tls,
            backlog=1024,
            ssl_handshake_timeout=self.limits.handshake_timeout_s if tls is not None else None,
        )
        self._listener = listener
        address = listener.sockets[0].getsockname()
        return int(address[1])

    def _accept(self) -> HttpConnection:
        connection = HttpConnection(self)
        self._accepted += 1
        self._shaking.add(connection)
        return connection

    @property
    def failed_handshakes(self) -> int:
        return self._accepted - self._made - len(self._shaking)

    def opened(self, connection: HttpConnection) -> bool:
        if self._accepted:
            self._made += 1
            self._shaking.discard(connection)
        if self.draining or len(self._connections) >= self.limits.connections_max:
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: HttpConnection) -> None:
        self._connections.discard(connection)
        if self.draining and all(c.taken for c in self._connections):
            self._wakeup.set()

    async def drain(self, timeout_s: float, watches_s: float = 0.0) -> None:
        """Accept nothing more, end the watches one after the other during `watches_s`, finish what else is being served
        within `timeout_s`, then hang up."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        watches = [connection for connection in self._connections if watches_s and connection.streams]
        for connection in self._connections.difference(watches):
            connection.drain()
        for watch in watches:  # who watches comes back elsewhere, but not all in one moment
            await self.clock.sleep(watches_s / len(watches))
            watch.drain()
        timer = self.clock.call_later(timeout_s, self._wakeup.set)
        while any(not connection.taken for connection in self._connections) and not self._wakeup.is_set():
            await self._wakeup.wait()
        timer.cancel()
        for connection in list(self._connections):
            connection.abort()
