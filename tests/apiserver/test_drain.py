"""What a stopping server does with its connections, and when."""

import asyncio

from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http_types import Response
from kajitori.kit.clock import VirtualClock


class Connection:
    """Ends as soon as it is told."""

    taken = False

    def __init__(self, server: HttpServer, streams: bool) -> None:
        self.server = server
        self.streams = streams
        self.drained_s = -1.0

    def drain(self) -> None:
        self.drained_s = self.server.clock.monotonic()
        self.server.closed(self)  # type: ignore[arg-type]

    def abort(self) -> None: ...


def drained(watches_s: float) -> tuple[list[float], list[float]]:
    """After how many seconds the watches ended, and the others."""

    async def main() -> tuple[list[float], list[float]]:
        clock = VirtualClock()

        async def application(request: object) -> Response:
            return Response()

        server = HttpServer(application, clock)  # type: ignore[arg-type]
        watches, others = ([Connection(server, streams) for _ in range(4)] for streams in (True, False))
        for connection in (*watches, *others):
            server.opened(connection)  # type: ignore[arg-type]
        began_s = clock.monotonic()
        draining = asyncio.create_task(server.drain(10.0, watches_s))
        await clock.advance(20)
        await draining
        return sorted(w.drained_s - began_s for w in watches), [other.drained_s - began_s for other in others]

    return asyncio.run(main())


def test_watches_end_one_after_the_other_during_their_grace() -> None:
    watches, others = drained(8.0)
    assert watches == [2.0, 4.0, 6.0, 8.0]
    assert others == [0.0] * 4


def test_without_a_grace_everything_ends_at_once() -> None:
    assert drained(0.0) == ([0.0] * 4, [0.0] * 4)
