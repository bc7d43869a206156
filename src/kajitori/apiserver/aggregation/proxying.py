"""A request for an aggregated version, handed to the API server behind its APIService, and the answer handed back as it
comes: watches stream, upgrades are passed through."""

from urllib.parse import quote

from kajitori.api.apiregistration import API_SERVICE
from kajitori.api.errors import ServiceUnavailable, StatusError
from kajitori.api.meta import Object, condition_is
from kajitori.apiserver.aggregation.identity import AGGREGATOR, identity_headers, without_identity
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.streams.relay import relay
from kajitori.apiserver.streams.service_addresses import ServiceAddresses
from kajitori.apiserver.streams.tunnel import forwarded_headers, pass_through, wants_upgrade
from kajitori.client.connection import Address
from kajitori.client.idle_connections import IdleConnections

_PATH_CHARACTERS = "/:@!$&'()*+,;=-._~%"


DOCUMENT_BYTES_MAX = 32 << 20
"""Of discovery and OpenAPI: they are held in memory."""


class Proxy:
    """Of one APIService, by name: what it says is looked up for every request."""

    def __init__(self, name: str, objects: Objects, addresses: ServiceAddresses, idle: IdleConnections) -> None:
        self._name = name
        self._objects = objects
        self._addresses = addresses
        self._idle = idle

    async def __call__(self, context: RequestContext) -> Response:
        """The client was authenticated and authorized before; the server behind does the latter again."""
        service = self._objects.cached(API_SERVICE, self._name)
        if service is None or not condition_is(service, "Available"):
            return _refusal("service unavailable")
        try:
            address = self._address_of(service["spec"])
        except ServiceUnavailable:
            return _refusal("service unavailable")
        except ValueError as error:
            return _refusal(f"the TLS settings of APIService {self._name} cannot be used: {error}", 500)
        request = context.request
        path = request.raw_path.partition("?")[0] or quote(request.path, safe=_PATH_CHARACTERS)
        target = f"{path}?{request.query.text}" if request.query.text else path
        kept = without_identity(forwarded_headers(request.headers, address.server_name))
        headers = {**kept, **identity_headers(context.user)}
        if wants_upgrade(context):
            try:
                return await pass_through(context, address, target, headers)
            except StatusError as error:
                return _refusal(error.message)
        headers.pop("connection", None)
        headers.pop("upgrade", None)
        try:
            return await relay(address, request.method, target, headers, request.body, self._idle)
        except ServiceUnavailable as error:
            return _refusal(str(error))

    def _address_of(self, spec: Object) -> Address:
        """Raises ServiceUnavailable, ValueError for a bad caBundle."""
        insecure = bool(spec.get("insecureSkipTLSVerify"))
        return self._addresses.of_service(spec["service"], spec.get("caBundle") or "", insecure=insecure)

    async def fetch(self, spec: Object, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """A GET on this server's own behalf: status, headers, body. Raises ServiceUnavailable, ValueError."""
        address = self._address_of(spec)
        sent = {"host": address.server_name, **headers, **identity_headers(AGGREGATOR)}
        response = await relay(address, "GET", path, sent, idle=self._idle)
        pieces, size = [response.body], 0
        if response.stream is not None:
            async for piece in response.stream:
                pieces.append(piece)
                size += len(piece)
                if size > DOCUMENT_BYTES_MAX:
                    raise ValueError(f"{path}: the answer is longer than {DOCUMENT_BYTES_MAX} bytes")
        return response.status, {"content-type": response.content_type, **dict(response.headers)}, b"".join(pieces)


def _refusal(text: str, status: int = 503) -> Response:
    """Plain text, as upstream's proxy answers."""
    headers = (("X-Content-Type-Options", "nosniff"),)
    return Response(status, f"{text}\n".encode(), "text/plain; charset=utf-8", headers)
