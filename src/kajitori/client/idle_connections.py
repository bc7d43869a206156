"""Connections kept for the next request, to one server or to several."""

from collections import OrderedDict

from kajitori.client.connection import Address, Connection
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import Clock

IDLE_S_MAX = 60.0
"""A kept connection older than this may already be closed by the other side, so it is not used again."""


class IdleConnections:
    """Holds `most`; when there are more, the one that lay longest is closed."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._kept: OrderedDict[Connection, Address] = OrderedDict()

    async def request(
        self, address: Address, head: bytes, body: bytes, *, again: bool
    ) -> tuple[Connection, int, dict[str, str]]:
        """Over a kept connection or a new one: that, and the status and headers of the answer. Raises Disconnected.

        `again`: whether it may be sent once more when a kept connection proves to be dead (RFC 9110, 9.2.2). Who has
        read the whole body gives the connection to `keep`; everybody else closes it.
        """
        while True:
            connection = self._take(address) or await Connection.open(address)
            try:
                status, headers = await connection.request(head, body)
            except Disconnected:
                stale = connection.requests > 1 and not connection.answered
                connection.close()
                if not (stale and again):
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                return connection, status, headers

    def keep(self, connection: Connection, address: Address) -> None:
        if connection.reusable:
            connection.idle_since_s = self._clock.monotonic()
            self._kept[connection] = address
            if len(self._kept) <= self._most:
                return
            connection, _ = self._kept.popitem(last=False)
        connection.close()

    def close(self) -> None:
        """What is given back from now on is closed too."""
        self._most = 0
        while self._kept:
            self._kept.popitem()[0].close()

    def _take(self, address: Address) -> Connection | None:
        """The one used last: it is the least likely to have been closed by the server."""
        for connection in [kept for kept, where in reversed(self._kept.items()) if where == address]:
            del self._kept[connection]
            if connection.reusable and self._clock.monotonic() - connection.idle_since_s < IDLE_S_MAX:
                return connection
            connection.close()
        return None
