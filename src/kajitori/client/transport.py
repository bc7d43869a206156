"""Requests over a small pool of connections to one server, and streams that each have a connection of their own."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.idle_connections import IdleConnections
from kajitori.client.interface import Disconnected
from kajitori.client.kubeconfig import ClusterAccess
from kajitori.client.wire import Answer, read_all
from kajitori.kit.clock import Clock, within

T = TypeVar("T")

# Projected tokens are rotated by the kubelet well before they expire; upstream's client re-reads as often.
TOKEN_FILE_AGE_S_MAX = 60.0
# Requests that may be sent again when a kept connection turned out to be dead (RFC 9110, 9.2.2).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """`connections` bounds requests at the same time (more wait their turn, within `timeout_s`); watches are extra."""

    connections: int = 8
    timeout_s: float = 60.0


class Transport:
    """The `Wire` to one server over HTTP, as one identity."""

    def __init__(self, access: ClusterAccess, clock: Clock, user_agent: str, settings: TransportSettings) -> None:
        url = urlsplit(access.server)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"server {access.server!r} is not an http or https URL")
        tls = tls_context(access) if url.scheme == "https" else None
        port = url.port or (443 if tls else 80)
        self.address = Address(url.hostname, port, tls, access.tls_server_name)
        self._prefix = url.path.rstrip("/")
        self._headers = {"Host": str(self.address), "User-Agent": user_agent, "Accept": "application/json"}
        self._token = _Token(access, clock)
        self._clock = clock
        self._settings = settings
        self._idle = IdleConnections(clock, settings.connections)
        self._streams: set[Connection] = set()
        self._slots = asyncio.Semaphore(settings.connections)
        self._closed = False

    async def request(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return await self._in_time(method, target, self._request(method, target, body, headers))

    @asynccontextmanager
    async def stream(self, target: str) -> AsyncGenerator[tuple[int, AsyncIterator[bytes]], None]:
        """GET on a connection of its own."""
        connection = await self._in_time("GET", target, self._open())
        self._streams.add(connection)
        try:
            answer = connection.request(self._head("GET", target, b"", {}), b"")
            status, _ = await self._in_time("GET", target, answer)
            yield status, connection.pieces()
        finally:
            self._streams.discard(connection)
            connection.close()

    async def close(self) -> None:
        self._closed = True
        self._idle.close()
        for connection in tuple(self._streams):
            connection.close()

    async def _in_time(self, method: str, target: str, step: Awaitable[T]) -> T:
        limit_s = self._settings.timeout_s
        try:
            return await within(self._clock, limit_s, step)
        except TimeoutError:
            raise Disconnected(f"{self.address}: {method} {target}: no answer within {limit_s:g} s") from None

    async def _request(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        async with self._slots:
            self._check_open()
            head, again = self._head(method, target, body, headers), method in SAFE_METHODS
            connection, status, answered = await self._idle.request(self.address, head, body, again=again)
            try:
                answer = Answer(status, answered, await read_all(connection.pieces()))
            except BaseException:
                connection.close()
                raise
            self._idle.keep(connection, self.address)
            return answer

    async def _open(self) -> Connection:
        self._check_open()
        return await Connection.open(self.address)

    def _check_open(self) -> None:
        if self._closed:
            raise Disconnected(f"{self.address}: this client is closed")

    def _head(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        sent = {**self._headers, **headers}
        if token := self._token.current():
            sent["Authorization"] = f"Bearer {token}"
        if body or method not in SAFE_METHODS:
            sent["Content-Length"] = str(len(body))
        return encode_head(method, self._prefix + target, sent)


class _Token:
    """The bearer token, read again from its file as it rotates."""

    def __init__(self, access: ClusterAccess, clock: Clock) -> None:
        self._token = access.token
        self._file = Path(access.token_file) if access.token_file else None
        self._clock = clock
        self._read_at_s = -TOKEN_FILE_AGE_S_MAX

    def current(self) -> str:
        now_s = self._clock.monotonic()
        if self._file is not None and (not self._token or now_s - self._read_at_s >= TOKEN_FILE_AGE_S_MAX):
            try:
                self._token = self._file.read_text().strip()
            except OSError as error:
                if not self._token:
                    raise Disconnected(f"cannot read the token file {self._file}: {error.strerror}") from error
            self._read_at_s = now_s
        return self._token


def tls_context(access: ClusterAccess) -> ssl.SSLContext:
    """Trust the cluster's CA (the system's when none is given) and show the client certificate, if any."""
    authority = access.certificate_authority.decode() or None
    context = ssl.create_default_context(cadata=authority)
    context.set_alpn_protocols(["http/1.1"])
    if access.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.client_certificate:
        # The ssl module loads a key from a file only; this one is private and gone at once.
        with tempfile.NamedTemporaryFile(prefix="kajitori-") as file:
            file.write(access.client_certificate + b"\n" + access.client_key)
            file.flush()
            context.load_cert_chain(file.name)
    return context
