"""The `Client` interface without sockets: the same pipeline, admission and authorization included."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from urllib.parse import unquote

from kajitori.apiserver.extension import ADMIN
from kajitori.apiserver.http_types import Query, Request, Response, Sink, Source
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.server import ApiServer
from kajitori.client.verbs import WireClient
from kajitori.client.wire import Answer, read_all

WATCH_BUFFER = 1024
"""Chunks that a slow reader may leave lying; beyond, the server's own buffer fills, and then the watch gets 410."""
_USER_AGENT = "kajitori"


class _ChunkBuffer(Sink):
    """A sink that is read in process."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._chunks: deque[bytes] = deque()
        self._wakeup: asyncio.Future[None] | None = None
        self._ended = False

    @property
    def writable(self) -> bool:
        return len(self._chunks) < WATCH_BUFFER

    def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        self._source.start(self)
        try:
            while True:
                while self._chunks:
                    chunk = self._chunks.popleft()
                    if len(self._chunks) == WATCH_BUFFER // 2:
                        self._source.resume()
                    yield chunk
                if self._ended:
                    return
                self._source.resume()
                if self._chunks or self._ended:
                    continue
                self._wakeup = asyncio.get_running_loop().create_future()
                await self._wakeup
        finally:
            self._source.stop()


class LocalClient(WireClient):
    """Acts as `user`; by default the administrator."""

    def __init__(self, server: ApiServer, user: User = ADMIN, user_agent: str = _USER_AGENT) -> None:
        super().__init__(_ServerWire(server, user, user_agent))


class _ServerWire:
    address = "the API server in this process"

    def __init__(self, server: ApiServer, user: User, user_agent: str) -> None:
        self._server = server
        self._user = user
        self._agent = user_agent

    async def request(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        response = await self._respond(method, target, body, headers)
        async with aclosing(_pieces(response)) as pieces:
            whole = await read_all(pieces)
        answered = {name.lower(): value for name, value in response.headers}
        return Answer(response.status, {"content-type": response.content_type, **answered}, whole)

    @asynccontextmanager
    async def stream(self, target: str) -> AsyncGenerator[tuple[int, AsyncIterator[bytes]], None]:
        response = await self._respond("GET", target, b"", {})
        async with aclosing(_pieces(response)) as pieces:
            yield response.status, pieces

    async def close(self) -> None:
        """Nothing to let go of."""

    async def _respond(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Response:
        raw_path, _, query = target.partition("?")
        sent = {"user-agent": self._agent, **{name.lower(): value for name, value in headers.items()}}
        request = Request(method, unquote(raw_path), Query(query), sent, body, raw_path=raw_path)
        return await self._server.answer(request, self._user)


async def _pieces(response: Response) -> AsyncGenerator[bytes, None]:
    if response.source is not None:
        async with aclosing(_ChunkBuffer(response.source).chunks()) as chunks:
            async for chunk in chunks:
                yield chunk
    elif response.stream is not None:
        async for chunk in response.stream:
            yield chunk
    elif response.body:
        yield response.body
