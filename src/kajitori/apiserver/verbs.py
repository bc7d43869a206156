"""From an authorized request for a resource to the verb that answers it."""

from collections.abc import Awaitable, Callable

from kajitori.api.errors import BadRequest, MethodNotAllowed, NotFound
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import accepted, accepted_as_object, encode_document
from kajitori.apiserver.refusals import method_not_allowed, no_such_resource
from kajitori.apiserver.request_info import RequestInfo
from kajitori.apiserver.rest import creating, deleting, patching, reading, scaling, updating
from kajitori.apiserver.rest.backend import Backend
from kajitori.apiserver.rest.deletion_options import DeleteOptions, delete_options
from kajitori.apiserver.rest.options import list_options
from kajitori.apiserver.rest.rendering import bytes_to_render, list_response, object_response
from kajitori.apiserver.rest.scopes import scope_of

Verb = Callable[[Backend, RequestContext], Awaitable[Response]]


async def _shown(backend: Backend, context: RequestContext, body: bytes, status: int = 200) -> Response:
    assert context.resource is not None
    accept = accepted(context.headers.get("accept", ""))
    include = context.query.get("includeObject", "Metadata")
    if accept.plain:
        return Response(status, body)
    resource, now_s, run = context.resource, backend.clock.now(), backend.aside.run
    size = bytes_to_render(resource, (body,), accept)
    return await run(size, object_response, resource, body, accept, now_s, status=status, include=include)


def _check_accepted(context: RequestContext) -> None:
    """Before anything is written. Raises NotAcceptable."""
    accepted(context.headers.get("accept", ""))


async def _create(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    if context.name:
        raise method_not_allowed()
    if resource.namespaced and not context.namespace:
        raise BadRequest("an empty namespace may not be set during creation")
    _check_accepted(context)
    return await _shown(backend, context, await creating.create(backend, context), 201)


async def _watch(backend: Backend, context: RequestContext) -> Response:
    if "upgrade" not in context.headers:
        return await reading.watch(backend, context)
    from kajitori.apiserver.streams import messages  # only browsers need it

    agreement = messages.agree_on_events(context)
    response = await reading.watch(backend, context)
    if agreement is None or response.source is None:
        return response
    return await messages.tell_events(context, agreement, response.source)


async def _update(backend: Backend, context: RequestContext) -> Response:
    _check_accepted(context)
    status, body = await updating.update(backend, context)
    return await _shown(backend, context, body, status)


async def _patch(backend: Backend, context: RequestContext) -> Response:
    _check_accepted(context)
    status, body = await patching.patch(backend, context)
    return await _shown(backend, context, body, status)


def _delete_options(context: RequestContext) -> DeleteOptions:
    options = delete_options(context.query, context.body, context.headers.get("content-type", ""))
    trail = context.request.trail
    if trail is not None and options.sent is not None:
        trail.understood(options.sent)
    return options


async def _delete(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    _check_accepted(context)
    options = _delete_options(context)
    deleted = await deleting.delete(backend, context, options)
    status = 202 if not deleted.gone and options.orphan_asked is False else 200
    if deleting.shows_object(resource, deleted):
        return await _shown(backend, context, deleted.body, status)
    accept = accepted_as_object(context.headers.get("accept", ""))
    return Response(
        status, encode_document(deleting.deletion_status(resource, deleted.body), accept), accept.content_type
    )


async def _delete_collection(backend: Backend, context: RequestContext) -> Response:
    resource = context.resource
    assert resource is not None
    accept = accepted(context.headers.get("accept", ""), lists=True)
    chosen = list_options(context.query)
    selection = reading.selection_of(resource, context, chosen)
    options = _delete_options(context)
    bodies, metadata = await reading.shown_bodies(backend, resource, selection, chosen)
    await deleting.delete_collection(backend, context, bodies, options)
    size, now_s = bytes_to_render(resource, bodies, accept), backend.clock.now()
    return await backend.aside.run(size, list_response, resource, bodies, metadata, accept, now_s)


_VERBS: dict[str, Verb] = {
    "get": reading.get,
    "list": reading.list_objects,
    "watch": _watch,
    "create": _create,
    "update": _update,
    "patch": _patch,
    "delete": _delete,
    "deletecollection": _delete_collection,
}
_PARTS: dict[str, Verb] = {"get": reading.get, "update": _update, "patch": _patch}
_SCALE: dict[str, Verb] = {
    "get": scaling.get_scale,
    "update": scaling.put_scale,
    "patch": scaling.patch_scale,
}


_ASKED = ("create",)
"""The verbs of a review or a binding: answered by a handler, never stored, and so without names."""


def has_route(resource: Resource, info: RequestInfo) -> bool:
    """Whether there is such a path at all: objects of a namespace are found there alone, those without one nowhere
    below one, and nothing stands behind a subresource but what a proxy passes on."""
    if info.rest and info.subresource != "proxy":
        return False
    if resource.verbs == _ASKED and not info.collection:
        return False
    if info.namespace:
        return resource.namespaced or info.resource == "namespaces"
    return not resource.namespaced or (info.collection and "list" in resource.verbs)


_BY_METHOD = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def check_method(resource: Resource, info: RequestInfo, method: str) -> None:
    """Raises MethodNotAllowed for what a subresource of its own handler does not know. Proxies know HEAD and OPTIONS
    too."""
    part = next((part for part in resource.subresources if part.name == info.subresource), None)
    if part is None or (info.subresource == "proxy" and method in ("HEAD", "OPTIONS")):
        return
    if (verb := _BY_METHOD.get(method)) not in part.verbs:
        raise _not_supported(resource, verb)


def _not_supported(resource: Resource, verb: str | None) -> MethodNotAllowed:
    """Parts of custom objects are told apart by their handler, those of built-in ones by their routes."""
    if resource.schema is None or verb is None:
        return method_not_allowed()
    kind = f"{resource.plural}.{resource.group}"
    details = {"group": resource.group, "kind": resource.plural}
    return MethodNotAllowed(f'{verb} is not supported on resources of kind "{kind}"', details)


def _is_routed(resource: Resource, context: RequestContext) -> bool:
    """Whether a built-in kind's collection knows the method: one over all namespaces can be read only."""
    verb = context.attributes.verb
    if verb == "watch":
        return context.method == "GET"
    if verb in ("create", "deletecollection"):
        return bool(context.namespace) or not resource.namespaced
    return bool(context.name) or verb not in ("update", "patch")


def verb_of(resource: Resource, context: RequestContext) -> Verb:
    """Raises NotFound for a subresource that does not exist, MethodNotAllowed for a verb that it does not know."""
    verb, subresource = context.attributes.verb, context.attributes.subresource
    if resource.schema is None and (context.method == "HEAD" or not _is_routed(resource, context)):
        raise method_not_allowed()
    if not subresource:
        if verb not in resource.verbs or verb not in _VERBS or resource.verbs == _ASKED:
            if verb == "create" and resource.schema is not None:
                raise MethodNotAllowed("create not allowed while custom resource definition is terminating", {})
            raise method_not_allowed()
        return _VERBS[verb]
    part = next((s for s in resource.subresources if s.name == subresource), None)
    if part is None:
        if resource.schema is not None:
            raise NotFound.of(resource.group, resource.plural, context.name)
        raise no_such_resource()
    if verb not in part.verbs:
        raise _not_supported(resource, verb)
    if subresource == "scale":
        return _SCALE[verb]
    if scope_of(resource, subresource) is None or verb not in _PARTS:
        raise no_such_resource()
    return _PARTS[verb]
