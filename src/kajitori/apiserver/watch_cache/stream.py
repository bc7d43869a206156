"""A watcher at the end of a connection."""

from collections.abc import Callable, Iterable, Iterator

import orjson

from kajitori.api.errors import Expired
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import Sink
from kajitori.apiserver.watch_cache.audience import Line, plain_line
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.apiserver.watch_cache.entry import CachedEvent, event_line
from kajitori.apiserver.watch_cache.kind import KindCache
from kajitori.apiserver.watch_cache.selection import Selection
from kajitori.kit.clock import Clock, Timer

LAST_BOOKMARK_S = 2.0
"""How long before its time is up a watch gets a last bookmark."""


class WatchStream:
    """`backlog`, which has all until now, is sent first, as fast as the peer reads; then what its audience is shown.
    With `initial_end` a bookmark says where the backlog ended."""

    def __init__(
        self,
        cache: WatchCache,
        kind: KindCache,
        resource: Resource,
        selection: Selection,
        clock: Clock,
        *,
        backlog: Iterable[tuple[CachedEvent, str]] = (),
        line: Line = plain_line,
        timeout_s: float,
        bookmarks: bool = False,
        initial_end: bool = False,
        bookmark_line: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.at = 0
        self.flowing = False
        self._cache = cache
        self._resource = resource
        self._clock = clock
        self._backlog: Iterator[tuple[CachedEvent, str]] = iter(backlog)
        self._line = line
        self._bookmark_line = bookmark_line
        self._timeout_s = timeout_s
        self._bookmarks = bookmarks
        self._initial_revision = cache.revision if initial_end else 0
        self._sink: Sink | None = None
        self._timer: Timer | None = None
        self._stop_bookmarks: Callable[[], None] | None = None
        self._error = b""
        self._ended = False
        self._audience = cache.audience(kind, selection, line)
        self._audience.join(self)

    # as the connection sees it

    def start(self, sink: Sink) -> None:
        self._sink = sink
        until_last_s = self._timeout_s - LAST_BOOKMARK_S
        if self._bookmarks and until_last_s > 0:
            self._timer = self._clock.call_later(until_last_s, self._bookmark_last)
        else:
            self._timer = self._clock.call_later(self._timeout_s, self._time_out)
        if self._bookmarks:
            self._stop_bookmarks = self._cache.every_minute(self._bookmark)
        self.resume()

    def resume(self) -> None:
        sink = self._sink
        if sink is None or self._ended:
            return
        if self._error:
            if sink.writable:
                sink.write(self._error)
                self._end()
        elif self.flowing or self._send_backlog(sink):
            self.catch_up()

    def _send_backlog(self, sink: Sink) -> bool:
        """Whether all of it is on its way."""
        while sink.writable:
            found = next(self._backlog, None)
            if found is None:
                if self._initial_revision:
                    sink.write(self._bookmark_bytes(self._initial_revision, initial_end=True))
                self.flowing = True
                return True
            sink.write(self._line(*found))
        return False

    def stop(self) -> None:
        """Let go of everything; writes nothing more."""
        if self._ended:
            return
        self._ended = True
        self.flowing = False
        self._audience.leave(self)
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

    def _bookmark_last(self) -> None:
        """So that who comes back after this watch has ended need not begin far in the past."""
        self._cache.tell()
        self._bookmark()
        self._timer = self._clock.call_later(LAST_BOOKMARK_S, self._time_out)

    def _time_out(self) -> None:
        if self.flowing:
            self.catch_up()
        self._end()

    # as its audience sees it

    def catch_up(self) -> None:
        """Write what the audience was shown and this watcher was not, while the peer takes it."""
        audience, sink = self._audience, self._sink
        while self.at < audience.end and sink is not None and sink.writable:
            lines = audience.lines(self.at)
            self.at += len(lines)
            sink.write_all(lines)

    def expire(self, message: str) -> None:
        """410: the client lists again. What waits is dropped, because it will be listed anyway."""
        if self._error or self._ended:
            return
        self._error = event_line("ERROR", orjson.dumps(Expired(message).status()))
        self.flowing = False
        self._audience.leave(self)
        self.resume()

    def close(self) -> None:
        self._end()

    def _bookmark(self) -> None:
        """Who has not read all until now gets one in a later minute."""
        if self.flowing and self._sink is not None:
            self.catch_up()
            if self.at == self._audience.end and self._sink.writable:
                self._sink.write(self._bookmark_bytes(self._cache.revision))

    def _bookmark_bytes(self, revision: int, *, initial_end: bool = False) -> bytes:
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        body = orjson.dumps(
            {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        )
        return event_line("BOOKMARK", self._bookmark_line(body) if self._bookmark_line else body)
