"""From a body to an object of the right kind: form, kind and version, unknown and duplicate fields, types."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from kajitori.api.errors import BadRequest, Invalid, StatusError
from kajitori.api.field_errors import FieldError, as_sent, invalid
from kajitori.api.meta import Object
from kajitori.api.patch.refusals import not_registered
from kajitori.api.registry import BUILTIN
from kajitori.api.resource import Resource
from kajitori.api.schema import conform, duplicate_fields, strict_error, strict_messages
from kajitori.apiserver.http_types import JSON, RequestContext
from kajitori.apiserver.negotiate import Malformed, decode_body
from kajitori.apiserver.rest.options import IGNORE, STRICT, WARN
from kajitori.kit.syntax_errors import literal, not_an_object


def decode_object(resource: Resource, context: RequestContext, validation: str) -> Object:
    """The object of a create or update. Raises BadRequest, UnsupportedMediaType."""
    content_type = context.headers.get("content-type", "")
    if not context.body.strip():
        raise unrecognized(resource, "couldn't get version/kind; json parse error: unexpected end of JSON input", b"")
    try:
        document = decode_body(context.body, content_type)
    except Malformed as error:
        raise unrecognized(resource, str(error), context.body) from None
    duplicates: list[str] = []
    repeated: list[str] = []
    if content_type in ("", JSON) or content_type.startswith(JSON):
        duplicates = duplicate_fields(context.body, document) if validation != IGNORE else []
    elif content_type.startswith(YAML):
        from kajitori.apiserver.yaml_documents import repeated_keys  # few clients send it

        repeated = repeated_keys(context.body) if validation != IGNORE else []
        document = in_key_order(document)
    if resource.schema is not None and context.attributes.subresource == "status" and _says_type(document):
        document["kind"] = resource.kind  # only the status is taken of it
    obj = check_kind(resource, document, context.body)
    conform_object(resource, obj, validation, context.warnings, Repeated(duplicates, repeated, context.body))
    return obj


def _says_type(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("kind"), str) and document["kind"] != ""


def in_key_order(document: Any) -> Any:
    """Upstream makes JSON of YAML first, and so meets the fields by their names."""
    if isinstance(document, dict):
        return {key: in_key_order(document[key]) for key in sorted(document)}
    return [in_key_order(item) for item in document] if isinstance(document, list) else document


def shown_as_sent(errors: list[FieldError], context: RequestContext) -> list[FieldError]:
    """What a client sent empty is not called absent."""
    media = context.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media.startswith("application/") and media.endswith(("-patch+json", "-patch+yaml")):
        media = "application/" + media[-4:]
    try:
        document = decode_body(context.body, media)
    except (Malformed, StatusError):
        return errors
    return as_sent(errors, document)


_STILL_READ = {("Eviction", "policy/v1beta1"): "policy/v1"}
"""By kind and version: those that are served no more, and that upstream still takes where the kind is posted."""


def check_kind(resource: Resource, document: Any, body: bytes = b"") -> Object:
    """Fill in kind, apiVersion and metadata where they are missing; refuse another kind in upstream's words.

    `body` is what the document was read from; a refusal shows its beginning.
    """
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise unrecognized(resource, f"couldn't get version/kind; json parse error: {not_an_object(document)}", body)
    for field in ("apiVersion", "kind"):
        value = document.get(field)
        if value is not None and not isinstance(value, str):
            why = f"json: cannot unmarshal {literal(value)} into Go struct field .{field} of type string"
            raise unrecognized(resource, f"couldn't get version/kind; json parse error: {why}", body)
    kind, api_version = document.get("kind") or "", document.get("apiVersion") or ""
    if body and resource.schema is not None and not kind:
        raise unrecognized(resource, f"Object 'Kind' is missing in '{body.decode(errors='replace')}'", body)
    if body and resource.schema is not None and not api_version:
        raise _another_kind(resource, document, kind, "")
    kind, api_version = kind or resource.kind, api_version or resource.api_version
    if (kind, api_version) in _STILL_READ:
        api_version = _STILL_READ[kind, api_version]
    if (kind, api_version) != (resource.kind, resource.api_version):
        raise _another_kind(resource, document, kind, api_version)
    document["kind"], document["apiVersion"] = kind, api_version
    if document.get("metadata") is None:
        document["metadata"] = {}
    return document


YAML = "application/yaml"
_SUMMARY_BYTES_MAX = 30


def unrecognized(resource: Resource, why: str, body: bytes) -> BadRequest:
    """What is no object at all. Its beginning is shown: as text when it looks like an object, else in hex."""
    start = body[:_SUMMARY_BYTES_MAX]
    shown = start.decode(errors="replace") if body[:1] == b"{" else start.hex()
    shown = f"{shown} ..." if len(body) > _SUMMARY_BYTES_MAX else shown or "<empty>"
    return BadRequest(f"the object provided is unrecognized (must be of type {resource.kind}): {why} ({shown})")


def _another_kind(resource: Resource, document: Object, kind: str, api_version: str) -> StatusError:
    """Of the built-in kinds only, because custom objects have no type that could be wrong."""
    if resource.schema is not None:
        if api_version == resource.api_version:
            metadata = document.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else ""
            return Invalid.of(resource.group, kind, name or "", [invalid("kind", kind, f"must be {resource.kind}")])
    else:
        prefix = f'{kind} in version "{api_version.rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
        single = kind.removesuffix("List")
        known = next((r for r in BUILTIN if r.kind in (kind, single) and r.api_version == api_version), None)
        if known is None:
            return BadRequest(prefix + not_registered(kind, api_version))
        if (kind, known.group) != (resource.kind, resource.group):
            ours = f"{resource.group.partition('.')[0] or 'core'}.{resource.kind}"
            return BadRequest(f"{prefix}converting ({known.version}.{kind}) to ({ours}): unknown conversion")
    return BadRequest(
        f"the API version in the data ({api_version}) does not match the expected API version ({resource.api_version})"
    )


class Repeated(NamedTuple):
    """Keys that a document has twice: their paths in JSON, complaints about lines of YAML. Of a patch, what is told of
    itself."""

    paths: Sequence[str] = ()
    lines: Sequence[str] = ()
    body: bytes = b""
    of_patch: Sequence[str] = ()


_NOTHING_REPEATED = Repeated()


def conform_object(
    resource: Resource, obj: Object, validation: str, warnings: list[str], repeated: Repeated = _NOTHING_REPEATED
) -> None:
    """Prune what the schema does not know, and say so as `validation` asks (KEP-2885)."""
    metadata = obj["metadata"]
    resets = resource.schema is None and isinstance(metadata, dict) and metadata.get("managedFields") == []
    unknown = conform(resource, obj)
    if resets:  # not the same as none
        metadata["managedFields"] = []
    if not (unknown or repeated.paths or repeated.lines or repeated.of_patch) or validation == IGNORE:
        return
    messages = strict_messages(unknown, repeated.paths, repeated.body if resource.schema is None else b"")
    messages = [*repeated.of_patch, *messages]
    if validation == STRICT:
        lines = ["\n  ".join(("yaml: unmarshal errors:", *repeated.lines))] if repeated.lines else []
        raise strict_error(resource, lines + messages)
    if validation == WARN:
        warnings.extend([*repeated.lines, *messages])
