"""An issuer's public keys: discovered, kept, and fetched anew when a token names one that is not known."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import jwt

from kajitori.apiserver.json_object import json_object
from kajitori.apiserver.remote import Unanswered
from kajitori.client.interface import Disconnected
from kajitori.client.kubeconfig import ClusterAccess
from kajitori.client.transport import Transport, TransportSettings
from kajitori.kit.clock import Clock

Fetch = Callable[[str], Awaitable[bytes]]
"""The body behind an https URL. Raises Unanswered."""

DISCOVERY = "/.well-known/openid-configuration"
REFETCH_AFTER_S = 10.0
"""Strangers choose key ids: the issuer is asked about unknown ones this often, not more."""
_KEYS_MAX = 256


def https_fetch(authority: bytes, clock: Clock) -> Fetch:
    """Fetches over TLS, trusting `authority` (PEM), or what the machine trusts when it is empty."""

    async def fetch(url: str) -> bytes:
        parts = urlsplit(url)
        server = f"{parts.scheme}://{parts.netloc}"
        transport: Transport | None = None
        try:
            access = ClusterAccess(server=server, certificate_authority=authority)
            transport = Transport(access, clock, "kajitori-apiserver", TransportSettings(timeout_s=10.0))
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            answer = await transport.request("GET", target, b"", {})
        except (Disconnected, ValueError, OSError) as error:
            raise Unanswered(f"{url}: {error}") from error
        finally:
            if transport is not None:
                await transport.close()
        if answer.status != 200:
            raise Unanswered(f"{url} answered {answer.status}")
        return answer.body

    return fetch


class IssuerKeys:
    def __init__(self, issuer: str, discovery_url: str, fetch: Fetch, clock: Clock) -> None:
        self._issuer = issuer
        self._discovery_url = discovery_url or issuer.rstrip("/") + DISCOVERY
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_s: float | None = None

    async def candidates(self, key_id: str | None) -> list[jwt.PyJWK]:
        """The keys that may have signed a token. Raises Unanswered when the issuer cannot be asked."""
        found = self._known(key_id)
        if found:
            return found
        now_s = self._clock.monotonic()
        if self._fetched_s is not None and now_s - self._fetched_s < REFETCH_AFTER_S:
            return []
        self._fetched_s = now_s
        self._keys = await self._read()
        return self._known(key_id)

    def _known(self, key_id: str | None) -> list[jwt.PyJWK]:
        if key_id is None:
            return list(self._keys.values())
        found = self._keys.get(key_id)
        return [found] if found is not None else []

    async def _read(self) -> dict[str, jwt.PyJWK]:
        document = _object(await self._fetch(self._discovery_url), self._discovery_url)
        if document.get("issuer") != self._issuer:
            raise Unanswered(f"{self._discovery_url} speaks of the issuer {document.get('issuer')!r}")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not url.startswith("https://"):
            raise Unanswered(f"{self._discovery_url} has no https jwks_uri")
        keys: dict[str, jwt.PyJWK] = {}
        listed = _object(await self._fetch(url), url).get("keys")
        for number, entry in enumerate(listed[:_KEYS_MAX] if isinstance(listed, list) else []):
            if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
                continue
            try:
                keys[str(entry.get("kid") or f"#{number}")] = jwt.PyJWK(entry)
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # of a kind that signs nothing we accept
        if not keys:
            raise Unanswered(f"{url} lists no usable key")
        return keys


def _object(body: bytes, url: str) -> dict[str, object]:
    try:
        return json_object(body)
    except ValueError as error:
        raise Unanswered(f"{url}: {error}") from error
