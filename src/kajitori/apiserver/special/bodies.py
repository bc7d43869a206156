"""Reading a request's document and answering with one, for handlers outside the generic path."""

from kajitori.api.errors import MethodNotAllowed
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import accepted_as_object, encode_document
from kajitori.apiserver.rest.decoding import decode_object
from kajitori.apiserver.rest.options import write_options


def read_document(context: RequestContext, resource: Resource) -> Object:
    """The body as an object of this kind, conforming to its schema. Raises BadRequest, UnsupportedMediaType."""
    if not context.body:
        return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    return decode_object(resource, context, write_options(context.query).field_validation)


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
        raise MethodNotAllowed("the server does not allow this method on the requested resource", {})


def is_dry_run(context: RequestContext) -> bool:
    return "All" in context.query.all("dryRun")
