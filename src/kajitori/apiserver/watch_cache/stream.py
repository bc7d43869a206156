"""A watcher whose events are pushed onto a connection, or pulled in process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import orjson

from kajitori.api.errors import Expired
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import Sink
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.apiserver.watch_cache.entry import CachedEvent, event_line
from kajitori.apiserver.watch_cache.kind import KindCache
from kajitori.apiserver.watch_cache.selection import Selection
from kajitori.kit.clock import Clock, Timer

BUFFERED_EVENTS = 4096
"""Beyond what the connection itself buffers. They share their bytes with all other watchers."""

Line = Callable[[CachedEvent, str], bytes]
"""An event of a type as one line of the stream, newline included."""


def plain_line(event: CachedEvent, type: str) -> bytes:
    return event.line(type)


class WatchStream:
    """`backlog` is sent first, as fast as the peer reads; live events wait behind it. With `initial_end` a bookmark
    says where the backlog ended."""

    def __init__(
        self,
        cache: WatchCache,
        kind: KindCache,
        resource: Resource,
        selection: Selection,
        clock: Clock,
        *,
        backlog: Iterable[tuple[CachedEvent, str]] = (),
        after: int = 0,
        line: Line = plain_line,
        timeout_s: float,
        bookmarks: bool = False,
        initial_end: bool = False,
        bookmark_line: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.selection = selection
        self._cache = cache
        self._kind = kind
        self._resource = resource
        self._clock = clock
        self._backlog: Iterator[tuple[CachedEvent, str]] = iter(backlog)
        self._backlog_done = False
        self._after = after
        self._line = line
        self._bookmark_line = bookmark_line
        self._timeout_s = timeout_s
        self._bookmarks = bookmarks
        self._initial_revision = cache.revision if initial_end else 0
        self._buffer: deque[bytes] = deque()
        self._sink: Sink | None = None
        self._timer: Timer | None = None
        self._stop_bookmarks: Callable[[], None] | None = None
        self._expired = False
        self._ended = False
        kind.add_watcher(self)

    # as the connection sees it

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._timer = self._clock.call_later(self._timeout_s, self._time_out)
        if self._bookmarks:
            self._stop_bookmarks = self._cache.every_minute(self._bookmark)
        self.resume()

    def resume(self) -> None:
        sink = self._sink
        if sink is None or self._ended:
            return
        while sink.writable and not self._ended:
            if not self._backlog_done:
                found = next(self._backlog, None)
                if found is not None:
                    sink.write(self._line(*found))
                else:
                    self._backlog_done = True
                    if self._initial_revision:
                        self._buffer.appendleft(self._bookmark_bytes(self._initial_revision, initial_end=True))
            elif self._buffer:
                sink.write(self._buffer.popleft())
            else:
                break
        if self._expired and self._backlog_done and not self._buffer:
            self._end()

    def stop(self) -> None:
        """Let go of everything; writes nothing more."""
        if self._ended:
            return
        self._ended = True
        self._kind.remove_watcher(self)
        self._sink = None  # each refers to the other, and a connection with all its buffers hangs on it
        if self._timer is not None:
            self._timer.cancel()
        if self._stop_bookmarks is not None:
            self._stop_bookmarks()

    def _end(self) -> None:
        sink = self._sink
        self.stop()
        if sink is not None:
            sink.end()

    def _time_out(self) -> None:
        if self._sink is not None and self._sink.writable:
            while self._buffer:
                self._sink.write(self._buffer.popleft())
        self._end()

    # as the cache sees it

    def push(self, event: CachedEvent, type: str) -> None:
        if event.revision <= self._after or self._expired:
            return
        line, sink = self._line(event, type), self._sink
        if sink is not None and self._backlog_done and not self._buffer and sink.writable:
            sink.write(line)
        else:
            self._wait(line)

    def expire(self, message: str) -> None:
        """410: the client lists again. What waits is dropped, because it will be listed anyway."""
        if self._expired or self._ended:
            return
        self._expired = True
        self._buffer.clear()
        self._backlog, self._backlog_done = iter(()), True
        self._buffer.append(event_line("ERROR", orjson.dumps(Expired(message).status())))
        self.resume()

    def close(self) -> None:
        self._end()

    def _wait(self, line: bytes) -> None:
        if len(self._buffer) >= BUFFERED_EVENTS:
            self.expire(f"the watch fell {BUFFERED_EVENTS} events behind and was ended: list again")
        else:
            self._buffer.append(line)

    def _bookmark(self) -> None:
        if self._backlog_done and not self._expired:
            self._wait(self._bookmark_bytes(max(self._cache.revision, self._after)))
            self.resume()

    def _bookmark_bytes(self, revision: int, *, initial_end: bool = False) -> bytes:
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body = orjson.dumps(
            {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        )
        return event_line("BOOKMARK", self._bookmark_line(body) if self._bookmark_line else body)
