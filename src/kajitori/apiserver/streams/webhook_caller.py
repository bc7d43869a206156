"""Reaching a webhook: by URL, or through a Service straight to one of its endpoints; always over TLS.

| bounded | how | when it is full |
|---|---|---|
| answer | `ANSWER_BYTES_MAX` | the call fails |
| connections kept for later | `IDLE_MAX`, each for `IDLE_S_MAX` | the one that lay longest is closed |
| TLS contexts | one for each of the last `CONTEXTS_MAX` authorities | the one unused longest is made anew when needed |
"""

import ssl
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urlsplit

import orjson

from kajitori.api import core
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.client.connection import Address, Connection, encode_head
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import Clock, within

CONTEXTS_MAX = 64
ANSWER_BYTES_MAX = 3 << 20
IDLE_MAX = 64
IDLE_S_MAX = 60.0
_HEADERS = {"user-agent": "kube-apiserver-admission", "content-type": "application/json", "accept": "application/json"}


class WebhookCaller:
    """One for all webhooks. `close` lets go of the connections that are kept."""

    def __init__(self, objects: Objects, endpoints: ServiceEndpoints, clock: Clock) -> None:
        self._objects = objects
        self._endpoints = endpoints
        self._clock = clock
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._idle: OrderedDict[Connection, Address] = OrderedDict()

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
        while self._idle:
            self._idle.popitem()[0].close()

    async def _post(self, address: Address, target: str, body: bytes) -> bytes:
        headers = {"host": address.server_name or str(address), **_HEADERS, "content-length": str(len(body))}
        while True:
            connection = self._take(address) or await Connection.open(address)
            try:
                answer = await _exchange(connection, target, headers, body)
            except Disconnected:
                stale = connection.requests > 1 and not connection.answered
                connection.close()
                if not stale:
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                self._keep(connection, address)
                return answer

    def _take(self, address: Address) -> Connection | None:
        """The one used last: it is the least likely to have been closed by the other side."""
        for connection in [kept for kept, where in reversed(self._idle.items()) if where == address]:
            del self._idle[connection]
            if connection.reusable and self._clock.monotonic() - connection.idle_since_s < IDLE_S_MAX:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection, address: Address) -> None:
        if not connection.reusable:
            connection.close()
            return
        connection.idle_since_s = self._clock.monotonic()
        self._idle[connection] = address
        if len(self._idle) > IDLE_MAX:
            self._idle.popitem(last=False)[0].close()

    def _resolve(self, client_config: Object) -> tuple[Address, str]:
        """Address and path. Raises ValueError, ServiceUnavailable."""
        tls = self._context(client_config.get("caBundle") or "")
        if url := client_config.get("url"):
            parts = urlsplit(url)
            return Address(parts.hostname or "", parts.port or 443, tls), parts.path or "/"
        reference = client_config["service"]
        namespace, name = reference["namespace"], reference["name"]
        port, path = reference.get("port") or 443, reference.get("path") or "/"
        service = self._objects.cached(core.SERVICE, name, namespace)
        if service is None:
            raise ValueError(f'service "{name}" not found')
        ip, target_port = self._endpoints.choose(service, str(port))
        return Address(ip, int(target_port), tls, server_name=f"{name}.{namespace}.svc"), path

    def _context(self, bundle: str) -> ssl.SSLContext:
        found = self._contexts.get(bundle)
        if found is None:
            found = ssl.create_default_context(cadata=b64decode(bundle).decode() if bundle else None)
            self._contexts[bundle] = found
            if len(self._contexts) > CONTEXTS_MAX:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(bundle)
        return found


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


async def _exchange(connection: Connection, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Raises Disconnected, ValueError for an answer that is too long or a refusal."""
    status, _ = await connection.request(encode_head("POST", target, headers), body)
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
