"""A watch of a kind whose versions a webhook converts: between the watch and the connection, in order, in batches.

At most `WAITING` events wait here; more wait in the watch itself, with its bound and its 410.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import orjson

from kajitori.api.errors import InternalError, StatusError
from kajitori.api.resource import Resource
from kajitori.api.selectors import FieldSelector
from kajitori.apiserver.documents import revised
from kajitori.apiserver.http_types import Sink, Source
from kajitori.apiserver.rest import converting
from kajitori.apiserver.watch_cache.entry import ADDED, DELETED, MODIFIED, CachedEvent, event_line

log = logging.getLogger(__name__)

WAITING = 64

_SEEN_AS = {(False, True): ADDED, (True, True): MODIFIED, (True, False): DELETED}
"""By whether the selector held before and holds now."""


class _Event(NamedTuple):
    type: str
    body: bytes
    before: bytes
    """Of a change: the object as it was."""
    before_revision: int


def framed(event: CachedEvent, type: str) -> bytes:
    """An event on its way to the conversion: a line of type, length and earlier revision, then one or two objects."""
    body, before = event.body(type), event.previous if type == MODIFIED else None
    head = b"%b %d %d\n%b" % (type.encode(), len(body), before.revision if before is not None else 0, body)
    return head + before.body if before is not None else head


def _parse(line: bytes) -> _Event:
    head, _, rest = line.partition(b"\n")
    type, length, before_revision = head.split(b" ")
    size = int(length)
    return _Event(type.decode(), rest[:size], rest[size:], int(before_revision))


class ConvertingWatch(Sink):
    """A `Source` over another whose lines are `framed`, and a `Sink` for it."""

    def __init__(
        self,
        resource: Resource,
        fields: FieldSelector,
        show: Callable[[bytes], bytes],
        show_bookmark: Callable[[bytes], bytes],
    ) -> None:
        self._resource = resource
        self._fields = fields
        self._show = show
        self._show_bookmark = show_bookmark
        self._inner: Source | None = None
        self._sink: Sink | None = None
        self._task: asyncio.Task[None] | None = None
        self._lines: deque[bytes] = deque()
        self._ended = False
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    def over(self, inner: Source) -> "ConvertingWatch":
        self._inner = inner
        return self

    # as the connection sees it

    def start(self, sink: Sink) -> None:
        assert self._inner is not None
        self._sink = sink
        self._task = asyncio.create_task(self._run(sink), name="converting watch")
        self._inner.start(self)

    def resume(self) -> None:
        self._room.set()

    def stop(self) -> None:
        if self._inner is not None:
            self._inner.stop()
        if self._task is not None:
            self._task.cancel()

    # as the watch sees it

    @property
    def writable(self) -> bool:
        return len(self._lines) < WAITING

    def write(self, chunk: bytes) -> None:
        self._lines.append(chunk)
        self._news.set()

    def end(self) -> None:
        self._ended = True
        self._news.set()

    # the work

    async def _run(self, sink: Sink) -> None:
        assert self._inner is not None
        try:
            await self._pump(sink, self._inner)
        except Exception as error:
            if not isinstance(error, StatusError):
                log.exception("a watch of %s could not be converted and is ended", self._resource.qualified_name)
                error = InternalError("the change could not be shown: list again")
            sink.write(event_line("ERROR", orjson.dumps(error.status())))
            self._inner.stop()
        sink.end()

    async def _pump(self, sink: Sink, inner: Source) -> None:
        while self._lines or not self._ended:
            if not self._lines:
                self._news.clear()
                await self._news.wait()
                continue
            batch = list(self._lines)
            self._lines.clear()
            inner.resume()
            for line in await self._converted(batch):
                while not sink.writable:
                    self._room.clear()
                    await self._room.wait()
                sink.write(line)

    async def _converted(self, batch: list[bytes]) -> list[bytes]:
        """The lines as the client sees them; those that its selector does not let through are left out."""
        parsed = [None if line.startswith(b"{") else _parse(line) for line in batch]
        needed = [body for event in parsed if event is not None for body in self._needed(event)]
        shown = iter(await converting.in_version(self._resource, needed))
        lines: list[bytes] = []
        for line, event in zip(batch, parsed, strict=True):
            if event is None:
                lines.append(self._plain(line))
                continue
            bodies = [next(shown) for _ in self._needed(event)]
            if (converted := self._line(event, bodies)) is not None:
                lines.append(converted)
        return lines

    def _needed(self, event: _Event) -> list[bytes]:
        return [event.body] if self._fields.empty or not event.before else [event.body, event.before]

    def _line(self, event: _Event, bodies: list[bytes]) -> bytes | None:
        type, body = event.type, bodies[0]
        if not self._fields.empty:
            holds = converting.matches(self._resource, self._fields, body)
            if type == MODIFIED:
                held = converting.matches(self._resource, self._fields, bodies[-1])
                seen_as = _SEEN_AS.get((held, holds))
                if seen_as is None:
                    return None
                if seen_as == DELETED:
                    body = revised(bodies[-1], event.before_revision, _revision(body))
                type = seen_as
            elif not holds:
                return None
        return event_line(type, self._show(body))

    def _plain(self, line: bytes) -> bytes:
        """Bookmarks and errors, which are nobody's object."""
        event = orjson.loads(line)
        if event["type"] != "BOOKMARK":
            return line
        return event_line("BOOKMARK", self._show_bookmark(orjson.dumps(event["object"])))


def _revision(body: bytes) -> int:
    return int(orjson.loads(body)["metadata"]["resourceVersion"])
