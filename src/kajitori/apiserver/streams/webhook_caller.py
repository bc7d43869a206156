"""Reaching a webhook: by URL, or through a Service straight to one of its endpoints; always over TLS."""

import ssl
from base64 import b64decode
from collections import OrderedDict
from urllib.parse import urlsplit

from kajitori.api import core
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.admission.webhooks import CallFailed
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.relay import relay
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.client.connection import Address
from kajitori.kit.clock import Clock, within

_CONTEXTS_MAX = 64
_ANSWER_BYTES_MAX = 3 << 20


class WebhookCaller:
    """Keeps the TLS contexts of the last 64 authorities."""

    def __init__(self, objects: Objects, endpoints: ServiceEndpoints, clock: Clock) -> None:
        self._objects = objects
        self._endpoints = endpoints
        self._clock = clock
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()

    async def call(self, client_config: Object, body: bytes, timeout_s: float) -> bytes:
        shown = ""
        try:
            address, path, shown = await self._resolve(client_config)
            return await within(self._clock, timeout_s, self._post(address, f"{path}?timeout={timeout_s:g}s", body))
        except TimeoutError:
            raise CallFailed(f'Post "{shown}?timeout={timeout_s:g}s": context deadline exceeded') from None
        except (StatusError, ValueError, OSError) as error:
            raise CallFailed(f'Post "{shown}?timeout={timeout_s:g}s": {error}') from error

    async def _post(self, address: Address, target: str, body: bytes) -> bytes:
        headers = {"host": address.server_name or address.host, "content-type": "application/json"}
        response = await relay(address, "POST", target, {**headers, "accept": "application/json"}, body)
        pieces, size = [], 0
        if response.stream is not None:
            async for piece in response.stream:
                pieces.append(piece)
                size += len(piece)
                if size > _ANSWER_BYTES_MAX:
                    raise ValueError(f"the answer is longer than {_ANSWER_BYTES_MAX} bytes")
        if response.status != 200:
            raise ValueError(f"the server answered {response.status}")
        return b"".join(pieces)

    async def _resolve(self, client_config: Object) -> tuple[Address, str, str]:
        """Address, path, and the URL as messages show it."""
        tls = self._context(client_config.get("caBundle") or "")
        if url := client_config.get("url"):
            parts = urlsplit(url)
            return Address(parts.hostname or "", parts.port or 443, tls), parts.path or "/", url
        reference = client_config["service"]
        namespace, name = reference["namespace"], reference["name"]
        port, path = reference.get("port") or 443, reference.get("path") or "/"
        host = f"{name}.{namespace}.svc"
        service = await self._objects.get(core.SERVICE, name, namespace)
        ip, target_port = self._endpoints.choose(service, str(port))
        return Address(ip, int(target_port), tls, server_name=host), path, f"https://{host}:{port}{path}"

    def _context(self, bundle: str) -> ssl.SSLContext:
        found = self._contexts.get(bundle)
        if found is None:
            found = ssl.create_default_context(cadata=b64decode(bundle).decode() if bundle else None)
            self._contexts[bundle] = found
            if len(self._contexts) > _CONTEXTS_MAX:
                self._contexts.popitem(last=False)
        return found
