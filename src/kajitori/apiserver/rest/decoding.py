"""From a body to an object of the right kind: form, kind and version, unknown and duplicate fields, types."""

from typing import Any

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.schema import conform, duplicate_fields, strict_error, strict_messages
from kajitori.apiserver.http_types import JSON, RequestContext
from kajitori.apiserver.negotiate import decode_body
from kajitori.apiserver.rest.options import IGNORE, STRICT, WARN


def decode_object(resource: Resource, context: RequestContext, validation: str) -> Object:
    """The object of a create or update. Raises BadRequest, UnsupportedMediaType."""
    content_type = context.headers.get("content-type", "")
    document = decode_body(context.body, content_type)
    is_json = content_type in ("", JSON) or content_type.startswith(JSON)
    duplicates = duplicate_fields(context.body, document) if validation != IGNORE and is_json else []
    obj = check_kind(resource, document)
    conform_object(resource, obj, validation, context.warnings, duplicates)
    return obj


def check_kind(resource: Resource, document: Any) -> Object:
    """Fill in kind, apiVersion and metadata where they are missing; refuse another kind."""
    if not isinstance(document, dict):
        raise BadRequest(f"the body is not an object of kind {resource.kind}")
    kind, api_version = document.get("kind") or resource.kind, document.get("apiVersion") or resource.api_version
    if not isinstance(kind, str) or not isinstance(api_version, str):
        raise BadRequest("kind and apiVersion must be strings")
    if api_version != resource.api_version:
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind != resource.kind:
        raise BadRequest(f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})")
    document["kind"], document["apiVersion"] = kind, api_version
    if document.get("metadata") is None:
        document["metadata"] = {}
    return document


def conform_object(
    resource: Resource,
    obj: Object,
    validation: str,
    warnings: list[str],
    duplicates: list[str] = [],  # noqa: B006
) -> None:
    """Prune what the schema does not know, and say so as `validation` asks (KEP-2885)."""
    unknown = conform(resource, obj)
    if not (unknown or duplicates) or validation == IGNORE:
        return
    if validation == STRICT:
        raise strict_error(resource, unknown, duplicates)
    if validation == WARN:
        warnings.extend(strict_messages(unknown, duplicates))
