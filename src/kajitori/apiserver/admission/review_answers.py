"""What a webhook sent back, as an AdmissionReview whose fields have their types. Pure.

Upstream reads it with the decoder that it reads requests with: JSON, or else YAML; an absent kind is the expected one.
Messages are that decoder's, because people look for them.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.api.patch.refusals import not_registered
from kajitori.api.schema import Undecodable, conform_definition
from kajitori.kit.syntax_errors import json_error, literal, not_an_object

_GROUP, _KIND = "admission.k8s.io", "AdmissionReview"
_SCHEME = "k8s.io/apiserver/pkg/util/webhook/client.go:71"
_OF_META = frozenset(("Status", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions"))
"""Kinds of `v1` that upstream knows wherever it decodes."""


class Unreadable(Exception):
    """The message says why it is no review."""


def read_review(body: bytes, version: str) -> Object:
    """`version` is the one that was asked with. Raises Unreadable."""
    review = _document(body)
    api_version, kind = review.get("apiVersion") or "", review.get("kind") or ""
    _check_type(api_version or f"{_GROUP}/{version}", kind or _KIND, version)
    response = review.get("response")
    if response is None:
        return review
    if not isinstance(response, dict):
        raise Unreadable(_wrong(response, "AdmissionReview.response", "v1.AdmissionResponse"))
    for field, check in _FIELDS.items():
        if response.get(field) is not None:
            check(response[field], field)
    return review


def _document(body: bytes) -> Object:
    try:
        document = orjson.loads(body) if body.lstrip().startswith(b"{") else _yaml(body)
    except orjson.JSONDecodeError as error:
        why = json_error(body) or str(error)
        raise Unreadable(f"couldn't get version/kind; json parse error: {why}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise Unreadable(f"couldn't get version/kind; json parse error: {not_an_object(document)}")
    for field in ("apiVersion", "kind"):
        if document.get(field) is not None and not isinstance(document[field], str):
            why = f"json: cannot unmarshal {literal(document[field])} into Go struct field .{field} of type string"
            raise Unreadable(f"couldn't get version/kind; json parse error: {why}")
    return document


def _yaml(body: bytes) -> Any:
    from kajitori.apiserver.yaml_documents import YamlError, load_yaml  # almost nobody answers with it

    try:
        return load_yaml(body)
    except YamlError as error:
        raise Unreadable(str(error)) from None


def _check_type(api_version: str, kind: str, version: str) -> None:
    if (api_version, kind) == (f"{_GROUP}/{version}", _KIND):
        return
    known = kind == _KIND and api_version in (f"{_GROUP}/v1", f"{_GROUP}/v1beta1")
    if known or (api_version == "v1" and kind in _OF_META):
        shown = api_version.rpartition("/")[2]
        raise Unreadable(f"converting ({shown}.{kind}) to ({version}.{_KIND}): unknown conversion")
    raise Unreadable(not_registered(kind, api_version, _SCHEME))


def _wrong(value: Any, field: str, go_type: str) -> str:
    return f"json: cannot unmarshal {literal(value)} into Go struct field {field} of type {go_type}"


def _typed(types: type | tuple[type, ...], go_type: str) -> Callable[[Any, str], None]:
    def check(value: Any, field: str) -> None:
        if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
            raise Unreadable(_wrong(value, f"AdmissionResponse.response.{field}", go_type))

    return check


def _strings(value: Any, field: str) -> None:
    if not isinstance(value, list):
        raise Unreadable(_wrong(value, f"AdmissionResponse.response.{field}", "[]string"))
    for item in value:
        _typed(str, "string")(item, field)


def _named_strings(value: Any, field: str) -> None:
    if not isinstance(value, dict):
        raise Unreadable(_wrong(value, f"AdmissionResponse.response.{field}", "map[string]string"))
    for item in value.values():
        _typed(str, "string")(item, field)


def _bytes(value: Any, field: str) -> None:
    if not isinstance(value, str):
        wrong, go_type = (value[0], "uint8") if isinstance(value, list) and value else (value, "[]uint8")
        raise Unreadable(_wrong(wrong, f"AdmissionResponse.response.{field}", go_type))
    try:
        base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable(f"illegal base64 data at input byte {_first_illegal(value)}") from None


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\r\n")


def _first_illegal(text: str) -> int:
    return next((at for at, letter in enumerate(text) if letter not in _ALPHABET), len(text))


_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_STRUCT_FIELD = re.compile(r"(Go struct field \w+)\.")


def _status(value: Any, field: str) -> None:
    """Drops what is no part of a Status."""
    if not isinstance(value, dict):
        raise Unreadable(_wrong(value, f"AdmissionResponse.response.{field}", "v1.Status"))
    try:
        conform_definition(_STATUS, value)
    except Undecodable as error:
        raise Unreadable(_STRUCT_FIELD.sub(rf"\1.response.{field}.", error.why, count=1)) from None


_FIELDS: dict[str, Callable[[Any, str], None]] = {
    "uid": _typed(str, "types.UID"),
    "allowed": _typed(bool, "bool"),
    "status": _status,
    "patch": _bytes,
    "patchType": _typed(str, "v1.PatchType"),
    "auditAnnotations": _named_strings,
    "warnings": _strings,
}
