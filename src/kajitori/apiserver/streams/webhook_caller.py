"""Reaching a webhook: by URL, or through a Service straight to one of its endpoints; always over TLS.

| bounded | how | when it is full |
|---|---|---|
| answer | `ANSWER_BYTES_MAX` | the call fails |
| connections kept for later | `IDLE_MAX` | the one that lay longest is closed |
"""

import zlib
from urllib.parse import urlsplit

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.dial_words import dial_words
from kajitori.apiserver.streams.service_addresses import ServiceAddresses
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.apiserver.streams.webhook_refusals import refusal
from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.idle_connections import IdleConnections
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import Clock, within

ANSWER_BYTES_MAX = 3 << 20
IDLE_MAX = 64
ATTEMPTS_MAX = 10
"""How often a server that says when to come again is asked again."""
_BUSY = 429
_HEADERS = {
    "user-agent": "kube-apiserver-admission",
    "content-type": "application/json",
    "accept": "application/json, */*",
    "accept-encoding": "gzip",
}


class WebhookCaller:
    """One for all webhooks. `close` lets go of the connections that are kept.

    Redirects are not followed, unlike upstream: who answers for a webhook does not choose what else the API server,
    which reaches more than he does, is to call (CVE-2020-8561).
    """

    def __init__(self, objects: Objects, endpoints: ServiceEndpoints, clock: Clock) -> None:
        self._clock = clock
        self._addresses = ServiceAddresses(objects, endpoints)
        self._idle = IdleConnections(clock, IDLE_MAX)

    async def call(self, client_config: Object, body: bytes, timeout_s: float) -> bytes:
        """The body of an answer of status 200 to 206. Raises CallFailed."""
        shown, query = _shown(client_config), f"?timeout={_whole_s(timeout_s)}s"
        try:
            address, path = self._resolve(client_config)
            return await within(self._clock, timeout_s, self._ask(address, path + query, body))
        except TimeoutError:
            raise CallFailed(f'Post "{shown}{query}": context deadline exceeded') from None
        except Disconnected as error:
            raise CallFailed(f'Post "{shown}{query}": {_reason(address, error)}') from error
        except (StatusError, ValueError, OSError) as error:
            raise CallFailed(f'Post "{shown}{query}": {error}') from error

    def close(self) -> None:
        self._idle.close()

    async def _ask(self, address: Address, target: str, body: bytes) -> bytes:
        for attempt in range(ATTEMPTS_MAX + 1):
            status, headers, answer = await self._post(address, target, body)
            pause_s = _pause_s(status, headers)
            if pause_s is None or attempt == ATTEMPTS_MAX:
                break
            await self._clock.sleep(pause_s)
        media = headers.get("content-type", "")
        if not 200 <= status <= 206:
            raise CallFailed(refusal(status, media, answer))
        if not answer:
            raise CallFailed(f"0-length response with status code: {status} and content type: {media}")
        return answer

    async def _post(self, address: Address, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        body += b"\n"  # Go's encoder ends what it writes
        sent = {"host": address.server_name or str(address), **_HEADERS, "content-length": str(len(body))}
        head = encode_head("POST", target, sent)
        connection, status, headers = await self._idle.request(address, head, body, again=True)
        try:
            answer = _unpacked(await _read(connection), headers.get("content-encoding", ""))
        except BaseException:
            connection.close()
            raise
        self._idle.keep(connection, address)
        return status, headers, answer

    def _resolve(self, client_config: Object) -> tuple[Address, str]:
        """Address and path. Raises ValueError, ServiceUnavailable."""
        bundle = client_config.get("caBundle") or ""
        if url := client_config.get("url"):
            parts = urlsplit(url)
            return Address(parts.hostname or "", parts.port or 443, self._addresses.context(bundle)), parts.path or "/"
        reference = client_config["service"]
        return self._addresses.of_service(reference, bundle), reference.get("path") or "/"


def _shown(client_config: Object) -> str:
    """The address as messages have it."""
    if url := client_config.get("url"):
        return str(url)
    reference = client_config["service"]
    host = f"{reference['name']}.{reference['namespace']}.svc"
    return f"https://{host}:{reference.get('port') or 443}{reference.get('path') or '/'}"


def _whole_s(timeout_s: float) -> int:
    """A webhook is told whole seconds, rounded up."""
    return -int(-timeout_s // 1)


async def _read(connection: Connection) -> bytes:
    """The body. Raises Disconnected, ValueError for an answer that is too long."""
    pieces, size = [], 0
    async for piece in connection.pieces():
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise ValueError(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
    return b"".join(pieces)


def _unpacked(body: bytes, encoding: str) -> bytes:
    """Raises ValueError for what is longer than it may be, or broken."""
    if encoding != "gzip":
        return body
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        whole = unpacker.decompress(body, ANSWER_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"the answer cannot be unpacked: {error}") from None
    if unpacker.unconsumed_tail:
        raise ValueError(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
    return whole


def _pause_s(status: int, headers: dict[str, str]) -> int | None:
    """How long a server that is too busy wants to be left alone; None where it does not say."""
    told = headers.get("retry-after", "")
    return int(told) if (status == _BUSY or status >= 500) and told.isdecimal() and len(told) < 10 else None


def _reason(address: Address, error: Disconnected) -> str:
    """In Go's words where there are some: people look for them."""
    return "EOF" if str(error).endswith(": the server closed the connection") else dial_words(address, error)
