"""What travels between the HTTP layer, the pipeline and the handlers: requests, responses, streams, hooks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import parse_qsl

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes, Credentials, User, Verdict

if TYPE_CHECKING:  # it reads the query, which is defined here
    from kajitori.apiserver.request_info import RequestInfo

JSON = "application/json"


class Query:
    """The query string, decoded on first use; most requests have none."""

    __slots__ = ("_values", "text")

    def __init__(self, text: str = "") -> None:
        self.text = text
        self._values: dict[str, list[str]] | None = None

    @property
    def values(self) -> Mapping[str, list[str]]:
        if self._values is None:
            values: dict[str, list[str]] = {}
            for name, value in parse_qsl(self.text, keep_blank_values=True):
                values.setdefault(name, []).append(value)
            self._values = values
        return self._values

    def get(self, name: str, default: str = "") -> str:
        if not self.text:
            return default
        found = self.values.get(name)
        return found[0] if found else default

    def all(self, name: str) -> list[str]:
        return list(self.values.get(name, ())) if self.text else []

    def flag(self, name: str) -> bool:
        """`watch`, `watch=1`, `watch=any` are true; absent, `0` and `false` are not."""
        if not self.text or name not in self.values:
            return False
        return self.values[name][0].lower() not in ("0", "false")


class Headers(dict[str, str]):
    """Header lines by lower-case name. The requests of one connection that bring the same lines share one object, never
    changed, and with it who the pipeline has read them to be from."""

    __slots__ = ("sender",)

    sender: "Sender | None"

    def __init__(self, lines: Mapping[str, str] | None = None) -> None:
        super().__init__(lines or {})
        self.sender = None


class Sender(NamedTuple):
    """What a request's header and its connection say about who sends it, not yet believed."""

    credentials: Credentials
    impersonates: bool
    names_user: bool
    """Whether there are headers in which an authenticating proxy names a user, be they believed or not."""


class Trail(Protocol):
    """What the audit log is told of one request, as it happens; most servers keep none."""

    annotations: dict[str, str]

    def received(self, user: User, info: "RequestInfo") -> None: ...

    def impersonated(self, user: User, constraint: str) -> None: ...

    def understood(self, document: Object) -> None: ...

    def authorized(self, verdict: Verdict, reason: str) -> None: ...

    def started(self, status: int) -> None: ...

    def panicked(self, error: Exception) -> None: ...

    def ended(self, response: "Response", info: "RequestInfo") -> "Response": ...


class Connection(Protocol):
    """The connection under a request, for those who need more than a response."""

    @property
    def peer(self) -> str:
        """The client's address; empty when it has none."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The client's certificate and those that TLS has verified it with, in DER; empty without one."""

    async def take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...


@dataclass(slots=True)
class Request:
    """What the wire brought. Header names are lower case; repeated headers are joined with ", ", but those that name a
    user (impersonation, an authenticating proxy) with a newline, because a group's name may contain a comma."""

    method: str
    path: str
    query: Query = field(default_factory=Query)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    certificate: bytes | None = None
    """The verified peer certificate in DER."""
    raw_path: str = ""
    """The path as it was sent, percent-encoding and all; what a proxy passes on."""
    connection: Connection | None = None
    trail: Trail | None = None
    answer_lines: bytes = b""
    """Header lines for the answer, as they stand on the wire; set on the request's way."""


@dataclass(slots=True)
class RequestContext:
    """A request that has been authenticated and authorized. `resource` is None for a path that is none."""

    request: Request
    user: User = ANONYMOUS
    attributes: Attributes = field(default_factory=lambda: Attributes(ANONYMOUS, "get"))
    resource: Resource | None = None
    warnings: list[str] = field(default_factory=list)
    """Texts that travel as Warning headers (299)."""

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def query(self) -> Query:
        return self.request.query

    @property
    def headers(self) -> Mapping[str, str]:
        return self.request.headers

    @property
    def body(self) -> bytes:
        return self.request.body

    @property
    def namespace(self) -> str:
        return self.attributes.namespace

    @property
    def name(self) -> str:
        return self.attributes.name

    @property
    def annotations(self) -> dict[str, str]:
        """Where admission notes what the audit log shall keep."""
        return self.request.trail.annotations if self.request.trail is not None else {}

    async def take_connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The raw connection, bytes already read included. The caller writes the 101 answer (or any other) itself,
        closes the writer when done, and returns `CONNECTION_TAKEN`."""
        if self.request.connection is None:
            raise RuntimeError("this request came without a connection to take (an in-process call)")
        if self.request.trail is not None:
            self.request.trail.started(101)
        return await self.request.connection.take()


class Sink(Protocol):
    """Where a push source writes. `write` sends one chunk; `writable` is False while the peer is slow."""

    @property
    def writable(self) -> bool: ...

    def write(self, chunk: bytes) -> None: ...

    def write_all(self, chunks: Sequence[bytes]) -> None:
        """Several, which other sinks are given too, as the same object."""
        for chunk in chunks:
            self.write(chunk)

    def end(self) -> None: ...


class Source(Protocol):
    """A body pushed chunk by chunk as things happen, without a task: `start` once, `resume` whenever the sink has
    become writable again, `stop` when the peer has gone or the server drains."""

    def start(self, sink: Sink) -> None: ...

    def resume(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(slots=True)
class Response:
    """An answer: `body`, or a `stream` of chunks pulled from an iterator, or a `source` that pushes them."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncIterator[bytes] | None = None
    source: Source | None = None
    lines: bytes = b""
    """More headers, as they stand on the wire. The pipeline sets them on every answer, shared ones too, in the step in
    which it is written."""


CONNECTION_TAKEN = Response(status=101)
"""Returned by a handler that has taken the connection: nothing more is written."""

Handler = Callable[[RequestContext], Awaitable[Response]]

HandlerKey = tuple[str, str, str]
"""(group, plural, subresource): subresource "" replaces the resource's own verbs (virtual resources)."""


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a hook may know of the write. With `dry_run` a hook must leave no trace outside the object."""

    user: User
    dry_run: bool = False
    subresource: str = ""


class RestHooks:
    """What a special part does around the writes of one resource. Override what is needed.

    `before_*` run after admission and before the store, may change the (new) object, and may raise a StatusError.
    When the store then refuses, `rollback` gets the object so that reservations can be returned.
    `after_*` run once the write is durable, on this server only: what all servers must see uses `Objects.subscribe`.
    """

    async def before_create(self, obj: Object, context: WriteContext) -> None:
        """`obj` has its final name, uid and defaults."""

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        """Called again with a fresh `old` after each conflict in a retried patch."""

    async def before_delete(self, obj: Object, context: WriteContext) -> None: ...

    def rollback(self, obj: Object) -> None: ...

    def after_create(self, obj: Object) -> None: ...

    def after_update(self, new: Object, old: Object) -> None: ...

    def after_delete(self, obj: Object) -> None: ...
