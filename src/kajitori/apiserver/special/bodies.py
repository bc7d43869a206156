"""Reading a request's document and answering with one, for handlers outside the generic path."""

from collections.abc import Callable, Sequence

from kajitori.api import core
from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
from kajitori.api.patch import managed_fields
from kajitori.api.resource import Resource
from kajitori.api.times import timestamp
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.negotiate import accepted_as_object, encode_document
from kajitori.apiserver.refusals import method_not_allowed
from kajitori.apiserver.rest.decoding import decode_object
from kajitori.apiserver.rest.metadata import SYSTEM_FIELDS
from kajitori.apiserver.rest.options import write_options
from kajitori.apiserver.rest.ownership import manager_of
from kajitori.apiserver.rest.understood import tell_audit
from kajitori.kit.clock import Clock


async def read_part(context: RequestContext, resource: Resource, objects: Objects) -> Object:
    """What is posted below an object of a namespace, which is looked for first. Raises BadRequest, NotFound."""
    document = decode_object(resource, context, write_options(context.query).field_validation)
    if (document["metadata"].get("namespace") or context.namespace) != context.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    if objects.cached(core.NAMESPACE, context.namespace) is None:  # memory may lag behind one that has just been made
        await objects.get(core.NAMESPACE, context.namespace)
    return document


def read_posted(
    context: RequestContext,
    resource: Resource,
    clock: Clock,
    keep: Sequence[str] = (),
    default: Callable[[Object], None] | None = None,
) -> Object:
    """The body of a create of what is never stored, as the generic path would have it: in the request's namespace,
    without what only the server says (but for `keep`), with its defaults and who wrote which field."""
    document = decode_object(resource, context, write_options(context.query).field_validation)
    tell_audit(resource, context, document, default)
    metadata = document["metadata"]
    if resource.namespaced:
        if (metadata.get("namespace") or context.namespace) != context.namespace:
            raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = context.namespace
    else:
        metadata.pop("namespace", None)
    for field in (*SYSTEM_FIELDS, "managedFields"):
        if field not in keep:
            metadata.pop(field, None)
    if default is not None:
        default(document)
    manager, part = manager_of(context, write_options(context.query).manager), context.attributes.subresource
    managed_fields.update(resource, document, None, manager, timestamp(clock.now()), part)
    return document


def answer(context: RequestContext, document: Object, status: int = 200) -> Response:
    """As JSON or YAML, as asked; there is no table of these. Raises NotAcceptable."""
    accept = accepted_as_object(context.headers.get("accept", ""))
    return Response(status=status, body=encode_document(document, accept), content_type=accept.content_type)


def success(context: RequestContext, status: int = 201) -> Response:
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": status}
    return answer(context, document, status)


def only(context: RequestContext, *methods: str) -> None:
    """Raise MethodNotAllowed for any other method."""
    if context.method not in methods:
        raise method_not_allowed()


def is_dry_run(context: RequestContext) -> bool:
    return "All" in context.query.all("dryRun")
