"""An object or a list in the form that was asked for: as stored, as a table, or its metadata alone."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from kajitori.api.errors import NotAcceptable
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import head_of, stored_resource
from kajitori.apiserver.http_types import Response
from kajitori.apiserver.negotiate import Accepted, Form, encode_document
from kajitori.apiserver.rest.backend import in_version
from kajitori.apiserver.table import check_included, table_of
from kajitori.apiserver.watch_cache.audience import Line
from kajitori.apiserver.watch_cache.entry import CachedEvent, event_line


def body_in_version(resource: Resource, body: bytes) -> bytes:
    """Stored bytes as this version shows them: mostly the same bytes."""
    if resource.shown_as_stored and body.startswith(head_of(resource)):
        return body
    if resource.shown is not None:
        return resource.shown(body)
    return orjson.dumps(in_version(resource, orjson.loads(body)))


def _metadata_only(obj: Object, version: str) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def bytes_to_render(resource: Resource, bodies: Iterable[bytes], accept: Accepted) -> int:
    """How much has to be decoded and made anew for this form: mostly nothing."""
    if accept.plain:
        return 0 if resource.shown_as_stored else sum(map(len, bodies))
    return sum(map(len, bodies)) + resource.weight_bytes


def object_response(
    resource: Resource, body: bytes, accept: Accepted, now_s: float, *, status: int = 200, include: str = ""
) -> Response:
    """One object; `body` is in the resource's version already."""
    if accept.plain:
        return Response(status, body)
    if accept.form is Form.METADATA_LIST:
        kind = _internal(resource, resource.kind, "Unstructured")
        raise NotAcceptable(f"{_ASKED}List, but the requested object is not a list (*{kind})")
    obj = orjson.loads(body)
    if accept.form is Form.TABLE:
        document = table_of(resource, [obj], accept.version, now_s, include=include)
        document["metadata"] = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
    elif accept.form is Form.METADATA:
        document = _metadata_only(obj, accept.version)
    else:
        document = obj
    return Response(status, encode_document(document, accept), accept.content_type)


def list_response(
    resource: Resource, bodies: Iterable[bytes], metadata: Object, accept: Accepted, now_s: float, include: str = ""
) -> Response:
    """Bodies joined as they are, unless another form is asked for."""
    bodies = list(bodies)
    kind = resource.list_kind or f"{resource.kind}List"
    if accept.form is Form.METADATA:
        what = _internal(resource, kind, "UnstructuredList")
        raise NotAcceptable(f"{_ASKED}, but the requested object is a list (*{what})")
    if not resource.shown_as_stored or (bodies and not all(map(_starts(resource), bodies))):
        bodies = [body_in_version(resource, body) for body in bodies]
    said = {"continue": "", **metadata} if _custom(resource) else metadata
    if accept.plain:
        top = {"kind": kind, "apiVersion": resource.api_version, "metadata": said}
        return Response(200, orjson.dumps(top)[:-1] + b',"items":[' + _joined(resource, bodies) + b"]}")
    items = [orjson.loads(body) for body in bodies]
    if accept.form is Form.TABLE:
        document = table_of(resource, items, accept.version, now_s, include=include)
        document["metadata"] = metadata
    elif accept.form is Form.METADATA_LIST:
        document = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{accept.version}",
            "metadata": metadata,
            "items": [_metadata_only(item, accept.version) for item in items],
        }
    else:
        if not _custom(resource):
            items = [_untyped(item) for item in items]
        document = {"kind": kind, "apiVersion": resource.api_version, "metadata": said, "items": items}
    return Response(200, encode_document(document, accept), accept.content_type)


_ASKED = "you requested PartialObjectMetadata"


def _internal(resource: Resource, kind: str, custom: str) -> str:
    """What upstream calls a kind inside: `core.ConfigMap`, `rbac.Role`."""
    if _custom(resource):
        return f"unstructured.{custom}"
    return f"{stored_resource(resource).group.partition('.')[0] or 'core'}.{kind}"


def _custom(resource: Resource) -> bool:
    """The items of a list of these say what they are; those of built-in kinds leave that to the list, as upstream."""
    return resource.schema is not None


def _untyped(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def _joined(resource: Resource, bodies: Sequence[bytes]) -> bytes:
    if _custom(resource) or not bodies:
        return b",".join(bodies)
    head = head_of(resource)
    after = len(head)
    bare = [
        memoryview(body)[after:] if body.startswith(head) else orjson.dumps(_untyped(orjson.loads(body)))[1:]
        for body in bodies
    ]
    return b"{" + b",{".join(bare)


def _starts(resource: Resource) -> Callable[[bytes], bool]:
    head = head_of(resource)
    return lambda body: body.startswith(head)


def event_form(
    resource: Resource, accept: Accepted, now: Callable[[], float], include: str
) -> Callable[[bytes], bytes]:
    """How a watch shows each object. Raises BadRequest."""
    if accept.form is Form.TABLE:
        check_included(include)
    columns_sent = False

    def as_table(body: bytes) -> bytes:
        nonlocal columns_sent
        obj = in_version(resource, orjson.loads(body))
        document = table_of(resource, [obj], accept.version, now(), include=include)
        document["metadata"] = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        if columns_sent:
            document["columnDefinitions"] = None
        columns_sent = True
        return orjson.dumps(document)

    def as_metadata(body: bytes) -> bytes:
        return orjson.dumps(_metadata_only(orjson.loads(body), accept.version))

    if accept.form is Form.TABLE:
        return as_table
    if accept.form in (Form.METADATA, Form.METADATA_LIST):
        return as_metadata
    return lambda body: body_in_version(resource, body)


@dataclass(frozen=True, slots=True)
class _ObjectLine:
    """Equal for all watches of one version, so that they are one audience."""

    resource: Resource

    def __call__(self, event: CachedEvent, type: str) -> bytes:
        entry, resource = event.entry or event.previous, self.resource
        if resource.shown_as_stored and entry is not None and entry.body.startswith(head_of(resource)):
            return event.line(type)
        return event_line(type, body_in_version(resource, event.body(type)))


@dataclass(frozen=True, slots=True)
class _MetadataLine:
    version: str

    def __call__(self, event: CachedEvent, type: str) -> bytes:
        return event_line(type, orjson.dumps(_metadata_only(orjson.loads(event.body(type)), self.version)))


def event_encoder(
    resource: Resource, accept: Accepted, now: Callable[[], float], include: str
) -> tuple[Line, Callable[[bytes], bytes]]:
    """Encoders of events and of bookmarks for one watch. A table is its watch's own: only the first row of it brings
    the columns."""
    if accept.form is Form.OBJECT:
        return _ObjectLine(resource), bytes
    show = event_form(resource, accept, now, include)
    if accept.form is not Form.TABLE:
        return _MetadataLine(accept.version), show
    return lambda event, type: event_line(type, show(event.body(type))), show
