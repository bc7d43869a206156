"""Requests outside the generic path (bindings, evictions, tokens, reviews, streams) before what users have configured.

Of the plugins that are built in, none has a say here that the handlers do not have themselves. While nothing is
configured, a request goes straight to its handler.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson

from kajitori.api import authentication, authorization, core
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.plugin import Configured, run_mutating
from kajitori.apiserver.http_types import JSON, Handler, HandlerKey, Query, RequestContext, Response
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.apiserver.rest.metadata import SYSTEM_FIELDS
from kajitori.apiserver.rest.options import write_options
from kajitori.apiserver.special.bodies import is_dry_run, read_posted
from kajitori.apiserver.special.evictions import EVICTION
from kajitori.apiserver.special.token_requests import TOKEN_REQUEST, TOKENS, default_token_request
from kajitori.kit.clock import Clock


def _kind(group: str, version: str, kind: str) -> Resource:
    return Resource(group=group, version=version, kind=kind, plural=kind.lower())


@dataclass(frozen=True, slots=True)
class Posted:
    """`keep` are fields of the metadata that only the server says elsewhere, and that say here what is meant."""

    kind: Resource
    keep: Sequence[str] = ()
    default: Callable[[Object], None] | None = None


CREATED: Mapping[HandlerKey, Posted] = {
    ("", "bindings", ""): Posted(core.BINDING),
    ("", "pods", "binding"): Posted(core.BINDING, SYSTEM_FIELDS),
    ("", "pods", "eviction"): Posted(EVICTION),
    TOKENS: Posted(TOKEN_REQUEST, SYSTEM_FIELDS, default_token_request),
    **{
        (resource.group, resource.plural, ""): Posted(resource)
        for module in (authentication, authorization)
        for resource in module.RESOURCES
        if resource.verbs == ("create",)
    },
}
"""What is sent with a POST."""

_OF_PROXIES = "ProxyOptions"
_FLAGS, _WORDS, _NUMBERS = ("stdin", "stdout", "stderr", "tty"), ("container",), ("ports",)

CONNECTED: Mapping[HandlerKey, Resource] = {
    ("", "pods", "exec"): _kind("", "v1", "PodExecOptions"),
    ("", "pods", "attach"): _kind("", "v1", "PodAttachOptions"),
    ("", "pods", "portforward"): _kind("", "v1", "PodPortForwardOptions"),
    ("", "pods", "proxy"): _kind("", "v1", "PodProxyOptions"),
    ("", "services", "proxy"): _kind("", "v1", "ServiceProxyOptions"),
    ("", "nodes", "proxy"): _kind("", "v1", "NodeProxyOptions"),
}
"""What the query says, as an object."""


Settle = Callable[[RequestContext, Object], Awaitable[Object]]


@dataclass(frozen=True, slots=True)
class SpecialRequests:
    """`plugins` in their order."""

    plugins: Sequence[Configured]
    clock: Clock
    settling: Mapping[HandlerKey, Settle]
    """What a handler makes of a request before it is validated, and does so again when it is its turn."""

    def before(self, handlers: Mapping[HandlerKey, Handler]) -> dict[HandlerKey, Handler]:
        """The same handlers, each asking first."""
        return {key: self._wrapped(key, handler) for key, handler in handlers.items()}

    def _wrapped(self, key: HandlerKey, handler: Handler) -> Handler:
        if (posted := CREATED.get(key)) is not None:
            return self._asking(handler, partial(self._create, posted, self.settling.get(key)))
        if (kind := CONNECTED.get(key)) is not None:
            return self._asking(handler, partial(self._connect, kind))
        return handler

    def _asking(self, handler: Handler, admitted: Callable[[RequestContext], Awaitable[RequestContext]]) -> Handler:
        plugins = self.plugins

        async def ask_first(context: RequestContext) -> Response:
            if all(plugin.idle for plugin in plugins):
                return await handler(context)
            return await handler(await admitted(context))

        return ask_first

    async def _create(self, posted: Posted, settle: Settle | None, context: RequestContext) -> RequestContext:
        if context.method != "POST":
            return context
        document = read_posted(context, posted.kind, self.clock, posted.keep, posted.default)
        options = write_options(context.query)
        request = self._request(context, posted.kind, Operation.CREATE, document)
        request.name = context.name or document["metadata"].get("name") or ""
        request.options, request.dry_run = options.document("CreateOptions"), is_dry_run(context)
        await run_mutating(self.plugins, request)
        assert request.object is not None
        body, headers = orjson.dumps(request.object), {**context.headers, "content-type": JSON}
        if settle is not None:
            request.object = await settle(context, request.object)
        await self._validate(request)
        changed = replace(context.request, body=body, headers=headers)
        return replace(context, request=changed)

    async def _connect(self, kind: Resource, context: RequestContext) -> RequestContext:
        document = options_of(context, kind)
        request = self._request(context, kind, Operation.CONNECT, {**document})
        await run_mutating(self.plugins, request)
        await self._validate(request)
        if request.object == document or kind.kind.endswith(_OF_PROXIES) or request.object is None:
            return context
        return replace(context, request=replace(context.request, query=_query_of(request.object)))

    def _request(
        self, context: RequestContext, kind: Resource, operation: Operation, document: Object
    ) -> AdmissionRequest:
        assert context.resource is not None
        return AdmissionRequest(
            user=context.user,
            operation=operation,
            resource=context.resource,
            namespace=context.namespace if context.resource.namespaced else "",
            name=context.name,
            object=document,
            subresource=context.attributes.subresource,
            warnings=context.warnings,
            annotations=context.annotations,
            document=kind if context.attributes.subresource else None,
            timeout=context.query.get("timeout"),
        )

    async def _validate(self, request: AdmissionRequest) -> None:
        for plugin in self.plugins:
            await plugin.validate(request)


def options_of(context: RequestContext, kind: Resource) -> Object:
    """A query as PodExecOptions and its like."""
    query = context.query
    document: Object = {"kind": kind.kind, "apiVersion": kind.api_version}
    if kind.kind.endswith(_OF_PROXIES):
        _, _, path = context.path.partition(f"/{context.name}/{context.attributes.subresource}")
        return {**document, "path": path} if path else document
    document |= {name: True for name in _FLAGS if query.flag(name)}
    document |= {name: query.get(name) for name in _WORDS if query.get(name)}
    document |= {
        name: [int(n) for n in query.all(name) if n.isdecimal() and len(n) < 20] for name in _NUMBERS if query.all(name)
    }
    if kind.kind == "PodExecOptions":
        document["command"] = query.all("command")
    return document


def _query_of(document: Object) -> Query:
    pairs: list[tuple[str, Any]] = []
    for name, value in document.items():
        if name not in ("kind", "apiVersion"):
            pairs += [(name, each) for each in (value if isinstance(value, list) else [value])]
    return Query(urlencode([(name, "true" if value is True else str(value)) for name, value in pairs]))
