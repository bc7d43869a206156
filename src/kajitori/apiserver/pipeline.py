"""The way of every request: authenticate, impersonate, authorize, control the flow, and hand on."""

import asyncio
import base64
import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from kajitori.api.errors import BadRequest, InternalError, ServiceUnavailable, StatusError, Unauthorized
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.flow.control import FlowControl
from kajitori.apiserver.http_types import CONNECTION_TAKEN, Headers, Request, RequestContext, Response, Sender
from kajitori.apiserver.impersonation import asks_to_impersonate, impersonated
from kajitori.apiserver.interfaces import ANONYMOUS, Credentials, User, Verdict, decided
from kajitori.apiserver.legibility import indented, read_by_people
from kajitori.apiserver.metrics import Metrics
from kajitori.apiserver.refusals import forbidden
from kajitori.apiserver.request_info import LONG_SUBRESOURCES, RequestInfo, attributes_of, request_info
from kajitori.apiserver.request_timeout import check_timeout
from kajitori.apiserver.responses import status_response, with_warnings
from kajitori.kit.clock import Clock
from kajitori.storage.interface import Unanswered, Unavailable

log = logging.getLogger(__name__)

Dispatch = Callable[[RequestInfo, RequestContext], Awaitable[Response]]
_MUTATING = frozenset(("create", "update", "patch", "delete", "deletecollection"))
_WIDE = frozenset(("list", "watch"))
_NAMES = f"Audit-Id: {str(uuid.uuid4())[:24]}".encode()
_numbers = itertools.count(1)
"""Of requests without a name of their own: a UUID's beginning, and which request of this process it is."""
_NOBODY: Mapping[str, str] = {}
_SOCKET_TOKEN = "base64url.bearer.authorization.k8s.io."


def credentials_of(request: Request, named: Mapping[str, str] = _NOBODY) -> Credentials:
    """The client certificate, and the bearer token of the header or, for browsers, of the WebSocket protocols. `named`
    are the headers by which an authenticating proxy names a user."""
    token = ""
    authorization = request.headers.get("authorization", "")
    if authorization[:7].lower() == "bearer ":
        token = authorization[7:].strip()
    elif protocols := request.headers.get("sec-websocket-protocol", ""):
        for protocol in protocols.split(","):
            if (text := protocol.strip()).startswith(_SOCKET_TOKEN):
                encoded = text[len(_SOCKET_TOKEN) :]
                try:
                    token = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode("latin-1")
                except ValueError:
                    raise Unauthorized() from None
    if request.certificate is None:
        return Credentials(None, token)
    chain = request.connection.chain if request.connection is not None else ()
    return Credentials(request.certificate, token, chain, named)


def _sender_of(request: Request, user_headers: tuple[str, ...]) -> Sender:
    headers = request.headers
    kept = headers if isinstance(headers, Headers) else None
    if kept is not None and kept.sender is not None:
        return kept.sender
    named = {name: text for name, text in headers.items() if name.startswith(user_headers)}
    sender = Sender(credentials_of(request, named or _NOBODY), asks_to_impersonate(headers), bool(named))
    if kept is not None:
        kept.sender = sender
    return sender


class Pipeline:
    """Calling it answers a request; it raises nothing."""

    def __init__(
        self, registry: Registry, clock: Clock, metrics: Metrics, flow: FlowControl, dispatch: Dispatch
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._metrics = metrics
        self._flow = flow
        self._dispatch = dispatch
        self.extension = Extension()

    def __call__(self, request: Request) -> Coroutine[Any, Any, Response]:
        return self.answer(request, None)

    async def answer(self, request: Request, user: User | None) -> Response:
        """`user` is given for calls inside the process, which are authenticated already."""
        started_s = self._clock.monotonic()
        info = request_info(request.method, request.path, request.query)
        resource = self._registry.by_path(info.group, info.version, info.resource) if info.resource else None
        warnings: list[str] = []
        auditor = self.extension.auditor
        if auditor is not None:
            request.trail = auditor.begin(request)
        try:
            response = await self._serve(request, info, resource, user, warnings)
        except StatusError as error:
            response = status_response(error, request.headers.get("accept", ""))
        except Unavailable as error:
            # What may have been done already is not to be repeated blindly.
            retry = None if isinstance(error, Unanswered) else {"retryAfterSeconds": 1}
            response = status_response(ServiceUnavailable(str(error), retry))
        except asyncio.CancelledError:
            self._metrics.aborted(info, resource)
            raise
        except Exception as error:
            if _too_deep(error):
                response = status_response(BadRequest("the document is nested too deeply"))
            else:
                log.exception("%s %s failed", request.method, request.path)
                if request.trail is not None:
                    request.trail.panicked(error)
                response = status_response(InternalError("Internal error occurred: the server's log has the details"))
        if request.trail is not None:
            response = request.trail.ended(response, info)
        if response is CONNECTION_TAKEN:
            return response
        response.lines = request.answer_lines
        if request.trail is None and user is None:
            response.lines += _name_of(request)
        if warnings:
            response = with_warnings(response, warnings)
        if info.subresource != "proxy" and read_by_people(request):
            response = indented(response)
        self._metrics.observe(info, resource, response, self._clock.monotonic() - started_s)
        return response

    async def _serve(
        self, request: Request, info: RequestInfo, resource: Resource | None, user: User | None, warnings: list[str]
    ) -> Response:
        extension, trail = self.extension, request.trail
        if "timeout" in request.query.text and info.verb != "watch" and info.subresource not in LONG_SUBRESOURCES:
            check_timeout(request.query)
        if user is None:
            credentials, impersonates, names_user = _sender_of(request, extension.user_headers)
            user = extension.authenticator.known(credentials)
            if user is None:
                began_s = self._clock.monotonic()
                user = await extension.authenticator.authenticate(credentials)
                self._metrics.asked_who(self._clock.monotonic() - began_s)
            if names_user:
                prefixes = extension.user_headers
                request.headers = {n: text for n, text in request.headers.items() if not n.startswith(prefixes)}
            paths = extension.anonymous_paths
            if paths is not None and user is ANONYMOUS and request.path not in paths:
                raise Unauthorized()
            if trail is not None:
                trail.received(user, info)
            if impersonates:
                own = attributes_of(user, info, request.query)
                user, constraint = await impersonated(own, request.headers, extension.authorizer)
                if trail is not None and user is not own.user:
                    trail.impersonated(user, constraint)
        elif trail is not None:
            trail.received(user, info)
        query = request.query
        attributes = attributes_of(user, info, request.query)
        flow = self._flow.flow_of(attributes)
        if info.subresource not in LONG_SUBRESOURCES:
            request.answer_lines = flow.lines
        verdict, reason = extension.authorizer.authorize(attributes)
        if verdict is Verdict.ASK:
            began_s = self._clock.monotonic()
            verdict, reason = await decided(extension.authorizer, attributes)
            self._metrics.asked_whether(self._clock.monotonic() - began_s)
        if trail is not None:
            trail.authorized(verdict, reason)
        if verdict is not Verdict.ALLOW:
            self._metrics.refused("denied" if verdict is Verdict.DENY else "no-opinion")
            raise forbidden(attributes, reason)
        context = RequestContext(request, user, attributes, resource, warnings)
        if info.subresource in LONG_SUBRESOURCES:
            return await self._dispatch(info, context)
        mutating = info.verb in _MUTATING
        width = self._flow.width_of(flow, resource, query) if info.verb in _WIDE and resource is not None else 1
        waited = None if self._flow.enter(flow, width, mutating) else await self._flow.wait(flow, width, mutating)
        try:
            return await self._dispatch(info, context)
        finally:
            self._flow.leave(flow, width, mutating, waited)


def _name_of(request: Request) -> bytes:
    """Every request has a name that its client may choose, also where nothing is written down."""
    name = request.headers.get("audit-id")
    return f"Audit-Id: {name}\r\n".encode("latin-1", "replace") if name else b"%s%012x\r\n" % (_NAMES, next(_numbers))


def _too_deep(error: Exception) -> bool:
    """Python's own limit, or orjson's, which has no exception of its own for it."""
    return isinstance(error, RecursionError) or (isinstance(error, TypeError) and "Recursion limit" in str(error))
