"""Reaching a webhook: by URL, or through a Service straight to one of its endpoints; always over TLS.

| bounded | how | when it is full |
|---|---|---|
| answer | `ANSWER_BYTES_MAX` | the call fails |
| connections kept for later | `IDLE_MAX` | the one that lay longest is closed |
"""

from urllib.parse import urlsplit

import orjson

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.service_addresses import ServiceAddresses
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.idle_connections import IdleConnections
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import Clock, within

ANSWER_BYTES_MAX = 3 << 20
IDLE_MAX = 64
_HEADERS = {"user-agent": "kube-apiserver-admission", "content-type": "application/json", "accept": "application/json"}


class WebhookCaller:
    """One for all webhooks. `close` lets go of the connections that are kept."""

    def __init__(self, objects: Objects, endpoints: ServiceEndpoints, clock: Clock) -> None:
        self._clock = clock
        self._addresses = ServiceAddresses(objects, endpoints)
        self._idle = IdleConnections(clock, IDLE_MAX)

    async def call(self, client_config: Object, body: bytes, timeout_s: float) -> bytes:
        """The body of an answer of status 200. Raises CallFailed."""
        shown, query = _shown(client_config), f"?timeout={_whole_s(timeout_s)}s"
        try:
            address, path = self._resolve(client_config)
            return await within(self._clock, timeout_s, self._post(address, path + query, body))
        except TimeoutError:
            raise CallFailed(f'Post "{shown}{query}": context deadline exceeded') from None
        except (StatusError, Disconnected, ValueError, OSError) as error:
            raise CallFailed(f'Post "{shown}{query}": {error}') from error

    def close(self) -> None:
        self._idle.close()

    async def _post(self, address: Address, target: str, body: bytes) -> bytes:
        headers = {"host": address.server_name or str(address), **_HEADERS, "content-length": str(len(body))}
        head = encode_head("POST", target, headers)
        connection, status, _ = await self._idle.request(address, head, body, again=True)
        try:
            answer = await _read(connection, status)
        except BaseException:
            connection.close()
            raise
        self._idle.keep(connection, address)
        return answer

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


async def _read(connection: Connection, status: int) -> bytes:
    """The body. Raises Disconnected, ValueError for an answer that is too long or a refusal."""
    pieces, size = [], 0
    async for piece in connection.pieces():
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise ValueError(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
    whole = b"".join(pieces)
    if status != 200:
        raise ValueError(_refusal(status, whole))
    return whole


_REFUSAL_CHARACTERS_MAX = 2048


def _refusal(status: int, body: bytes) -> str:
    """What a Status says, or the beginning of the text."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and document.get("kind") == "Status" and document.get("message"):
        return str(document["message"])
    if status == 404:
        return "the server could not find the requested resource"
    text = body[:_REFUSAL_CHARACTERS_MAX].decode(errors="replace").strip() or f"status {status}"
    return f'an error on the server ("{text}") has prevented the request from succeeding'
