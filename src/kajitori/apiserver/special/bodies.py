"""Reading a request's document and answering with one, for handlers outside the generic path."""

from kajitori.api.errors import BadRequest, MethodNotAllowed
from kajitori.api.meta import Object
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import accepted, decode_body, encode_document


def read_document(context: RequestContext, kind: str = "") -> Object:
    """The body as an object, of this kind if one is given. Raises BadRequest, UnsupportedMediaType."""
    document = decode_body(context.body, context.headers.get("content-type", "")) if context.body else {}
    if not isinstance(document, dict):
        raise BadRequest("the object provided is unrecognized (must be of type object)")
    given = document.get("kind") or kind
    if kind and given != kind:
        raise BadRequest(f"the object provided is of kind {given}, this endpoint takes {kind}")
    if not isinstance(document.setdefault("metadata", {}), dict):
        raise BadRequest("metadata must be an object")
    return document


def answer(context: RequestContext, document: Object, status: int = 200) -> Response:
    """In the form that the client asked for."""
    accept = accepted(context.headers.get("accept", ""))
    return Response(status=status, body=encode_document(document, accept), content_type=accept.content_type)


def success(context: RequestContext, status: int = 201) -> Response:
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": status}
    return answer(context, document, status)


def only(context: RequestContext, *methods: str) -> None:
    """Raise MethodNotAllowed for any other method."""
    if context.method not in methods:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")


def is_dry_run(context: RequestContext) -> bool:
    return "All" in context.query.all("dryRun")
