"""The body of a PATCH as a document of its kind of patch; what is none is refused in the words of Go's decoder."""

import re
from typing import Any

import orjson

from kajitori.api.errors import BadRequest, UnsupportedMediaType
from kajitori.api.patch.refusals import unsupported_media_type
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import RequestContext
from kajitori.apiserver.negotiate import YAML_APPLY, Malformed, decode_body
from kajitori.kit.syntax_errors import json_error, literal

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_OPERATION = "handlers.jsonPatchOp"


def media_of_patch(resource: Resource, context: RequestContext) -> str:
    """Which kind of patch it is. Raises UnsupportedMediaType."""
    media = context.headers.get("content-type", "").partition(";")[0].strip().lower()
    known = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
    if resource.schema is not None and media not in known:
        raise unsupported_media_type(*known)
    if media not in (*known, STRATEGIC_PATCH):
        raise UnsupportedMediaType("415: Unsupported Media Type", {})
    return media


def decode_patch(media: str, body: bytes) -> Any:
    """Raises BadRequest."""
    if media == APPLY_PATCH:
        try:
            return _untyped(decode_body(body, YAML_APPLY), body)
        except Malformed as error:
            raise BadRequest(f"error decoding YAML: error converting YAML to JSON: {error}") from None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _undecodable(media, json_error(body) or str(error)) from None
    if media == STRATEGIC_PATCH:
        document = _untyped(document, body)
    return _operations(document) if media == JSON_PATCH else _merged(media, document)


_LONG_NUMBER = re.compile(rb"\d{19}")
_INT64_MAX = 2**63 - 1


def _untyped(document: Any, body: bytes) -> Any:
    """As Go reads a document without types: integers beyond 64 bits are floats."""
    return _floats(document) if _LONG_NUMBER.search(body) else document


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, int) and abs(value) > _INT64_MAX else value


def _undecodable(media: str, why: str) -> BadRequest:
    return BadRequest(why if media == STRATEGIC_PATCH else f"error decoding patch: {why}")


def _merged(media: str, document: Any) -> Any:
    """An object. Nothing at all says nothing to a strategic merge patch, and is no merge patch."""
    if document is None:
        if media == STRATEGIC_PATCH:
            return {}
        raise BadRequest("Invalid JSON Patch")
    if not isinstance(document, dict):
        why = f"json: cannot unmarshal {literal(document)} into Go value of type map[string]interface {{}}"
        raise _undecodable(media, why)
    return document


def _operations(document: Any) -> list[Any]:
    """A list of operations; nothing in the place of one is an operation that says nothing, and fails."""
    if document is None:
        return []
    if not isinstance(document, list):
        raise _undecodable(
            JSON_PATCH, f"json: cannot unmarshal {literal(document)} into Go value of type []{_OPERATION}"
        )
    for item in document:
        if item is not None and not isinstance(item, dict):
            raise _undecodable(JSON_PATCH, f"json: cannot unmarshal {literal(item)} into Go value of type {_OPERATION}")
        for field, value in (item or {}).items():
            if field in ("op", "path", "from") and value is not None and not isinstance(value, str):
                into = f"Go struct field jsonPatchOp.{field} of type string"
                raise _undecodable(JSON_PATCH, f"json: cannot unmarshal {literal(value)} into {into}")
    return [item or {} for item in document]
