"""Follows one request through the pipeline and hands each stage of it to the sinks.

Upstream's rules: the policy judges the authenticated user, before impersonation; a request that fails authentication is
told by one event at the stage ResponseStarted; only watches and streams have a ResponseStarted otherwise.
"""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import orjson

from kajitori.api.errors import InternalError
from kajitori.api.meta import Object
from kajitori.apiserver.audit.event import Facts, Stage, tells
from kajitori.apiserver.audit.policy import COMPLETE, PANIC, RECEIVED, STARTED, Level, Policy
from kajitori.apiserver.audit.sinks import Entry, Sink
from kajitori.apiserver.http_types import CONNECTION_TAKEN, Request, Response, Source
from kajitori.apiserver.http_types import Sink as ChunkSink
from kajitori.apiserver.interfaces import User, Verdict
from kajitori.apiserver.metrics import Metrics
from kajitori.apiserver.request_info import RequestInfo, attributes_of, is_long_running
from kajitori.kit.clock import Clock

_HEADER = "audit-id"
_NOBODY = User("")


class Auditor:
    """A sink that answers False makes the request fail."""

    def __init__(self, policy: Policy, sinks: Sequence[Sink], clock: Clock) -> None:
        self.policy = policy
        self.clock = clock
        self._sinks = tuple(sinks)
        self.events = 0
        self.rejected = 0
        """Requests that a strict log stopped."""

    def begin(self, request: Request) -> "RequestTrail":
        return RequestTrail(self, request)

    def put(self, entry: Entry) -> bool:
        self.events += 1
        kept = True
        for sink in self._sinks:
            kept = sink.put(entry) and kept
        return kept

    def measure(self, metrics: Metrics) -> None:
        """Count under upstream's names."""
        events, rejected = "Audit events handed to the sinks.", "Requests refused because their event was not stored."
        metrics.counter("apiserver_audit_event_total", events, lambda: [({}, self.events)])
        metrics.counter("apiserver_audit_requests_rejected_total", rejected, lambda: [({}, self.rejected)])
        metrics.counter(
            "apiserver_audit_error_total",
            "Audit events that were lost, by what lost them.",
            lambda: [({"plugin": sink.losses.name}, sink.losses.count) for sink in self._sinks],
        )

    async def close(self) -> None:
        for sink in self._sinks:
            await sink.close()


class RequestTrail:
    """The `Trail` of a request."""

    def __init__(self, auditor: Auditor, request: Request) -> None:
        self._auditor = auditor
        self._request = request
        self._received_s = auditor.clock.now()
        self._facts: Facts | None = None
        self._started = False
        self._over = False
        self._understood = False
        # A client may name its request.
        self.audit_id = request.headers.get(_HEADER, "") or str(uuid.uuid4())
        self.annotations: dict[str, str] = {}

    def received(self, user: User, info: RequestInfo) -> None:
        """Raises InternalError when the log is strict and cannot be written."""
        self._facts = self._gathered(user, info)
        if not self._put(Stage(RECEIVED, self._received_s)):
            self._auditor.rejected += 1
            raise InternalError("failed to store audit event")

    def impersonated(self, user: User, constraint: str) -> None:
        if self._facts is not None:  # events that wait to be written keep what was known then
            self._facts = replace(self._facts, impersonated=user, constraint=constraint)

    def understood(self, document: Object) -> None:
        """What the request's body says, with its defaults: what the log shows of it. What admission makes of it, and
        is read again, is not what was sent."""
        facts = self._facts
        if facts is None or self._understood or facts.decision.level < Level.METADATA or not facts.asked.is_resource:
            return
        self._understood = True
        self._facts = replace(facts, request_body=orjson.dumps(document), content_type="")

    def authorized(self, verdict: Verdict, reason: str) -> None:
        self.annotations["authorization.k8s.io/decision"] = "allow" if verdict is Verdict.ALLOW else "forbid"
        self.annotations["authorization.k8s.io/reason"] = reason

    def started(self, status: int) -> None:
        """The head of an answer that goes on for long has been sent."""
        if not self._started:
            self._started = True
            self._put(Stage(STARTED, self._auditor.clock.now(), status))

    def panicked(self, error: Exception) -> None:
        """Our own fault: the request's last event."""
        if self._facts is not None:
            self._over = True
            now_s = self._auditor.clock.now()
            self._put(Stage(PANIC, now_s, 500, message=f"APIServer panic'd: {type(error).__name__}"))

    def ended(self, response: Response, info: RequestInfo) -> Response:
        """The answer with its Audit-ID; one that goes on ends the trail when it ends."""
        if self._facts is None:  # nobody was authenticated
            self._facts = self._gathered(_NOBODY, info)
            self._over = True
            self._put(self._answered(STARTED, response))
        if response is CONNECTION_TAKEN:
            self._complete(Stage(COMPLETE, self._auditor.clock.now(), 101))
            return response
        named = replace(response, headers=(*response.headers, ("Audit-Id", self.audit_id)))
        if named.stream is None and named.source is None:
            if is_long_running(info) and not (self._started or self._over):
                self._put(self._answered(STARTED, response))
            self._complete(self._answered(COMPLETE, response))
            return named
        self.started(response.status)
        if named.source is not None:
            named.source = _Observed(named.source, self._streamed(response.status))
        if named.stream is not None:
            named.stream = _observed(named.stream, self._streamed(response.status))
        return named

    def _answered(self, stage: str, response: Response) -> Stage:
        now_s = self._auditor.clock.now()
        return Stage(stage, now_s, response.status, response.body, content_type=response.content_type)

    def _streamed(self, status: int) -> Callable[[], None]:
        return lambda: self._complete(Stage(COMPLETE, self._auditor.clock.now(), status))

    def _complete(self, stage: Stage) -> None:
        if not self._over:
            self._over = True
            self._put(stage)

    def _put(self, stage: Stage) -> bool:
        facts = self._facts
        if facts is None or facts.decision.level is Level.NONE or stage.name in facts.decision.omitted:
            return True
        if facts.decision.level is not Level.REQUEST_RESPONSE and not tells(stage):
            stage = replace(stage, body=b"")  # nobody will look at it
        return self._auditor.put(Entry(facts, stage, dict(self.annotations)))

    def _gathered(self, user: User, info: RequestInfo) -> Facts:
        request = self._request
        asked = attributes_of(user, info, request.query)
        decision = self._auditor.policy.decide(asked)
        kept = decision.level >= Level.METADATA and asked.is_resource and asked.verb == "patch"
        uri = request.raw_path or request.path
        return Facts(
            self.audit_id,
            asked,
            decision,
            f"{uri}?{request.query.text}" if request.query.text else uri,
            _source_ips(request),
            request.headers.get("user-agent", ""),
            self._received_s,
            request_body=request.body if kept else b"",
            content_type=request.headers.get("content-type", ""),
        )


def _source_ips(request: Request) -> tuple[str, ...]:
    """As the proxies on the way tell it, then the connection's own, each once."""
    told = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    told.append(request.headers.get("x-real-ip", "").strip())
    peer = request.connection.peer if request.connection is not None else ""
    return tuple(dict.fromkeys(address for address in (*filter(_is_address, told), peer) if address))


def _is_address(text: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class _Observed(Source):
    """A pushed body that tells when it is over."""

    def __init__(self, source: Source, over: Callable[[], None]) -> None:
        self._source = source
        self._over = over

    def start(self, sink: ChunkSink) -> None:
        self._source.start(_ObservedSink(sink, self._over))

    def resume(self) -> None:
        self._source.resume()

    def stop(self) -> None:
        self._source.stop()
        self._over()


class _ObservedSink(ChunkSink):
    def __init__(self, sink: ChunkSink, over: Callable[[], None]) -> None:
        self._sink = sink
        self._over = over

    @property
    def writable(self) -> bool:
        return self._sink.writable

    def write(self, chunk: bytes) -> None:
        self._sink.write(chunk)

    def write_all(self, chunks: Sequence[bytes]) -> None:
        self._sink.write_all(chunks)

    def end(self) -> None:
        self._over()
        self._sink.end()


async def _observed(stream: AsyncIterator[bytes], over: Callable[[], None]) -> AsyncIterator[bytes]:
    try:
        async for piece in stream:
            yield piece
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
        over()
