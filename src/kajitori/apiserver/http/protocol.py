"""One connection: bytes in, requests to the application, responses out, in the order in which they were asked for."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools

from kajitori.apiserver.http import encoding
from kajitori.apiserver.http.incoming import Incoming
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.repeated import RepeatedHead, head_of
from kajitori.apiserver.http.sink import ResponseSink, SharedChunk
from kajitori.apiserver.http.stepping import carry_on
from kajitori.apiserver.http.tls import verified_chain
from kajitori.apiserver.http.transport import as_streams, keep_alive
from kajitori.apiserver.http_types import CONNECTION_TAKEN, Headers, Query, Request, Response
from kajitori.kit.clock import Clock, Timer

log = logging.getLogger(__name__)

Application = Callable[[Request], Coroutine[Any, Any, Response]]
"""Answers every request; raises only when the connection should be dropped."""


class Connections(Protocol):
    """What a connection needs of the server it belongs to."""

    application: Application
    clock: Clock
    limits: Limits
    date: encoding.DateHeader
    shared_chunk: SharedChunk
    draining: bool
    user_headers: tuple[str, ...]
    """What the names of headers begin with that name users, so that a comma in a value is part of it."""

    def opened(self, connection: "HttpConnection") -> bool: ...

    def closed(self, connection: "HttpConnection") -> None: ...


class HttpConnection(asyncio.Protocol):
    """An asyncio protocol around httptools (llhttp), which refuses ambiguous framing by itself."""

    def __init__(self, server: Connections) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made
        self._incoming: Incoming | None = None
        self._repeated: RepeatedHead | None = None
        self._arrived: list[Incoming] = []
        self._ready: deque[tuple[Incoming, bool]] = deque()
        self._current: Incoming | None = None
        self._task: asyncio.Task[None] | None = None
        self._stream: asyncio.Task[None] | None = None
        self._sink: ResponseSink | None = None
        self._upgrading = False
        self._leftover: list[bytes] = []
        self._certificate: bytes | None = None
        self._paused = False
        self._refused = False
        self._deadline_s = 0.0
        self._timer: Timer | None = None
        self._drained: asyncio.Event | None = None
        self.writable = True
        self.taken = False
        self.lost = False

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's TLS transport is one in all but its bases
        if not self._server.opened(self):
            self.lost = True
            self._transport.abort()
            return
        limits = self._server.limits
        self._transport.set_write_buffer_limits(high=limits.write_buffer_bytes)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificate = tls.getpeercert(binary_form=True) or None
        if (raw := transport.get_extra_info("socket")) is not None:
            keep_alive(raw)
        self._arm(limits.header_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
        self._stop_streaming()
        del self._parser  # it refers to this connection, which is to be freed at once
        if self._task is not None and self._current is not None and self._current.method in ("GET", "HEAD"):
            self._task.cancel()  # nobody reads the answer; a write is left to end in its own way
        if self._drained is not None:
            self._drained.set()
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._upgrading:
            self._leftover.append(data)
            self._throttle()
            return
        if self._refused:
            return
        between = self._incoming is None and self._current is None and not self._ready
        if between and self._repeated is not None and (again := self._repeated.match(data)) is not None:
            self._begin(again, False)
            return
        self._arrived.clear()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if rest:
                self._leftover.append(rest)
        except httptools.HttpParserError as error:
            if not self._refused:
                self._refuse(400, f"malformed HTTP: {error}")
        if self._incoming is not None and not self._refused:
            limits, body = self._server.limits, self._incoming.method != ""
            self._count_arrived(self._incoming, len(data), body)
            self._arm(limits.body_timeout_s if body else limits.header_timeout_s, keep_sooner=True)
        if between and len(self._arrived) == 1 and self._incoming is None and not self._upgrading:
            self._repeated = head_of(data, self._arrived[0])
        self._throttle()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self._drained is not None:
            self._drained.set()
        if self._sink is not None:
            self._sink.resume()

    # httptools calls these

    def on_message_begin(self) -> None:
        self._incoming = incoming = Incoming()
        incoming.headers = Headers()
        incoming.body = []

    def on_url(self, url: bytes) -> None:
        incoming = self._incoming
        assert incoming is not None
        incoming.target += url
        self._count_header(incoming, len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        incoming = self._incoming
        assert incoming is not None
        self._count_header(incoming, len(name) + len(value))
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key in incoming.headers:
            text = incoming.headers[key] + ("\n" if key.startswith(self._server.user_headers) else ", ") + text
        incoming.headers[key] = text

    def on_headers_complete(self) -> None:
        incoming = self._incoming
        assert incoming is not None
        incoming.method = self._parser.get_method().decode("latin-1")
        incoming.version = self._parser.get_http_version()
        incoming.keep_alive = self._parser.should_keep_alive()
        if self._declared_length(incoming) > self._server.limits.body_bytes_max:
            self._too_large()
        elif incoming.headers.get("expect", "").lower() == "100-continue" and self._idle:
            self._transport.write(encoding.CONTINUE)

    def on_body(self, data: bytes) -> None:
        incoming = self._incoming
        assert incoming is not None
        incoming.body_bytes += len(data)
        if incoming.body_bytes > self._server.limits.body_bytes_max:
            self._too_large()
        elif not self._refused:
            incoming.body.append(data)

    def on_message_complete(self) -> None:
        incoming, self._incoming = self._incoming, None
        assert incoming is not None
        if self._refused:
            return
        self._arrived.append(incoming)
        upgrade = self._parser.should_upgrade()
        if upgrade:
            if "transfer-encoding" in incoming.headers or self._declared_length(incoming):
                # llhttp leaves the body to the new protocol; it would be read as the next request.
                return self._refuse(400, "a request that asks for an upgrade has no body: send one or the other")
            self._upgrading = True
        if self._idle and not self._ready:
            self._begin(incoming, upgrade)
        else:
            self._ready.append((incoming, upgrade))

    # limits

    def _count_header(self, incoming: Incoming, size: int) -> None:
        incoming.header_bytes += size + 4
        if incoming.header_bytes > self._server.limits.header_bytes_max:
            self._refuse(431, f"the header exceeds {self._server.limits.header_bytes_max} bytes")

    def _count_arrived(self, incoming: Incoming, size: int, body: bool) -> None:
        """A header that never ends, or a trailer; a body in chunks of one byte takes six times its size."""
        limits = self._server.limits
        incoming.arrived_bytes = incoming.arrived_bytes + size if incoming.arrived_bytes >= 0 else 0
        if body:
            if incoming.arrived_bytes > limits.header_bytes_max + 8 * limits.body_bytes_max:
                self._too_large()
        elif incoming.arrived_bytes > limits.header_bytes_max:
            self._refuse(431, f"the header exceeds {limits.header_bytes_max} bytes")

    @staticmethod
    def _declared_length(incoming: Incoming) -> int:
        text = incoming.headers.get("content-length", "")
        return int(text) if text.isdigit() else 0

    def _too_large(self) -> None:
        limit = self._server.limits.body_bytes_max
        self._refuse(413, f"Request entity too large: limit is {limit}", reason="RequestEntityTooLarge")

    def _refuse(self, status: int, message: str, reason: str = "BadRequest") -> None:
        """Answer what cannot be served as HTTP, after what is already being served, and hang up."""
        if self._refused:
            return
        self._refused = True
        self._incoming = None
        self._refusal = encoding.failure(status, reason, message)
        if self._idle:
            self._write_refusal()

    def _write_refusal(self) -> None:
        self._write_whole(self._refusal, close=True, bodiless=False)
        self._transport.close()

    def _arm(self, delay_s: float, *, keep_sooner: bool = False) -> None:
        """Hang up when `delay_s` pass without this being called again. The timer itself is moved only when it fires,
        so that a busy connection does not pay for one each request."""
        now_s = self._server.clock.monotonic()
        deadline_s = now_s + delay_s
        if keep_sooner and now_s < self._deadline_s < deadline_s:
            return
        sooner = deadline_s < self._deadline_s
        self._deadline_s = deadline_s
        if self._timer is None or sooner:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._server.clock.call_later(delay_s, self._expired)

    def _expired(self) -> None:
        self._timer = None
        if self.lost or self.taken:
            return
        left_s = self._deadline_s - self._server.clock.monotonic()
        if not self._idle:
            left_s = max(left_s, self._server.limits.idle_timeout_s)
        if left_s > 0:
            self._timer = self._server.clock.call_later(left_s, self._expired)
        elif self._incoming is not None:
            self._refuse(408, "the request did not arrive in time", reason="Timeout")
        else:
            self._transport.close()

    def _throttle(self) -> None:
        """Stop reading while enough is waiting to be served."""
        full = len(self._ready) >= self._server.limits.pipelined_max or (self._upgrading and bool(self._leftover))
        if full and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        elif not full and self._paused and not self.lost:
            self._paused = False
            self._transport.resume_reading()

    # serving

    @property
    def _idle(self) -> bool:
        return self._current is None

    def _begin(self, incoming: Incoming, upgrade: bool) -> None:
        self._current = incoming
        coroutine = self._server.application(self._request(incoming))
        if incoming.method == "GET" and not upgrade:
            try:
                yielded = coroutine.send(None)
            except StopIteration as done:
                self._respond(done.value)
                return
            except Exception:
                log.exception("a request failed outside its handler")
                self._transport.abort()
                return
            coroutine = carry_on(coroutine, yielded)
        self._task = self._loop.create_task(self._answer(coroutine))

    async def _answer(self, coroutine: Coroutine[Any, Any, Response]) -> None:
        try:
            response = await coroutine
            self._task = None
            self._respond(response)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:
            log.exception("a request failed outside its handler")
            self._transport.abort()

    def _request(self, incoming: Incoming) -> Request:
        target = incoming.target.decode("latin-1")
        if not target.startswith("/") and "://" in target:  # absolute form, as to a proxy
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        raw_path, _, query = target.partition("?")
        path = unquote(raw_path) if "%" in raw_path else raw_path
        body = incoming.body[0] if len(incoming.body) == 1 else b"".join(incoming.body)
        return Request(
            incoming.method,
            path,
            Query(query),
            incoming.headers,
            body,
            self._certificate,
            raw_path,
            self,
        )

    def _respond(self, response: Response) -> None:
        if response is CONNECTION_TAKEN:
            return
        if self.lost or self.taken:
            if response.source is not None:
                response.source.stop()
            if self.taken:
                self._transport.close()  # its handler failed after taking it
            return
        incoming = self._current
        assert incoming is not None
        if response.source is not None or response.stream is not None:
            self._start_stream(response, incoming)
            return
        if encoding.wants_gzip(response, incoming.headers.get("accept-encoding", "")):
            self._task = self._loop.create_task(self._answer(asyncio.to_thread(encoding.gzipped, response)))
            return
        close = not incoming.keep_alive or self._server.draining
        self._write_whole(response, close=close, bodiless=incoming.method == "HEAD")
        self._next(close)

    def _write_whole(self, response: Response, *, close: bool, bodiless: bool) -> None:
        body = response.body
        framing = b"" if response.status in (204, 304) else b"Content-Length: %d\r\n" % len(body)
        top = encoding.head(response, self._server.date.line(), framing, close=close)
        if bodiless:
            self._transport.write(top)
        elif len(body) < 16384:
            self._transport.write(top + body)
        else:
            self._transport.writelines((top, body))

    def _start_stream(self, response: Response, incoming: Incoming) -> None:
        chunked = incoming.version == "1.1"
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
        self._transport.write(
            encoding.head(response, self._server.date.line(), framing, close=not chunked or not incoming.keep_alive)
        )
        if response.source is not None:
            self._sink = ResponseSink(self, response, chunked, self._server.shared_chunk)
            self._sink.start()
        else:
            self._stream = self._loop.create_task(self._pump(response, chunked))

    async def _pump(self, response: Response, chunked: bool) -> None:
        assert response.stream is not None
        whole = False
        try:
            async for piece in response.stream:
                if not piece:
                    continue
                self.write(encoding.chunk(piece) if chunked else piece)
                while not self.writable and not self.lost:
                    self._drained = asyncio.Event()
                    await self._drained.wait()
                if self.lost:
                    return
            whole = True
        except Exception:
            log.exception("a response stream failed")
        finally:
            close = getattr(response.stream, "aclose", None)
            if close is not None:
                await close()
            self._stream = None
            if not self.lost:
                self.stream_ended(chunked=chunked, whole=whole)

    def write(self, data: bytes) -> None:
        if not self.lost:
            self._transport.write(data)

    def stream_ended(self, *, chunked: bool, whole: bool) -> None:
        """A pushed or pulled body is over; one that broke off is shown by hanging up without the last chunk."""
        self._sink = None
        if self.lost or self._current is None:
            return
        if chunked and whole:
            self._transport.write(encoding.LAST_CHUNK)
        self._next(close=not chunked or not whole or not self._current.keep_alive or self._server.draining)

    def _stop_streaming(self) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            sink.stop()
        if self._stream is not None:
            self._stream.cancel()

    def _next(self, close: bool) -> None:
        self._current = None
        if close:
            self._transport.close()
        elif self._ready:
            self._loop.call_soon(self._begin_ready)  # not recursion: a pipelining client decides the depth
        elif self._refused:
            self._write_refusal()
        elif self._upgrading:
            self._upgrade_declined()
        elif self._incoming is None:
            self._arm(self._server.limits.idle_timeout_s)

    def _begin_ready(self) -> None:
        if self._idle and self._ready and not self.lost:
            self._begin(*self._ready.popleft())
            self._throttle()

    def _upgrade_declined(self) -> None:
        """The upgrade was answered like any request: what follows is HTTP again."""
        self._upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        rest, self._leftover = b"".join(self._leftover), []
        self._throttle()
        if rest:
            self.data_received(rest)
        else:
            self._arm(self._server.limits.idle_timeout_s)

    @property
    def streams(self) -> bool:
        """Whether events are being pushed to it."""
        return self._sink is not None

    @property
    def peer(self) -> str:
        name = self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) else ""

    @property
    def chain(self) -> tuple[bytes, ...]:
        return verified_chain(self._transport.get_extra_info("ssl_object"))

    async def take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Hand over the transport, with what has been read beyond the request."""
        if self.lost:
            raise ConnectionResetError("the client has hung up")
        self.taken = True
        arrived, self._leftover = b"".join(self._leftover), []
        reader, writer = as_streams(self._transport, arrived, self.connection_lost, writable=self.writable)
        if self._paused:
            self._transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        return reader, writer

    def drain(self) -> None:
        """Finish what is being served, then hang up; endless streams end now."""
        if self.taken or self.lost:
            return
        if self._idle:
            self._transport.close()
        elif self._sink is not None:
            self._sink.drain()

    def abort(self) -> None:
        if not self._transport.is_closing():
            self._transport.abort()
