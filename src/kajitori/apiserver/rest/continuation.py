"""The continue token of a paged list: where the next page begins, and at which revision."""

import base64
import binascii
import re
from typing import Any, NamedTuple

import orjson

from kajitori.api.errors import BadRequest
from kajitori.kit.syntax_errors import json_error, literal

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")
_VERSION = "meta.k8s.io/v1"
_TYPES = {"v": (str, "string"), "rv": (int, "int64"), "start": (str, "string")}
_INT64 = range(-(2**63), 2**63)


class Position(NamedTuple):
    """`start` is the first key that the next page may have, within what is listed: `<namespace>/<name>`, or `<name>`
    when one namespace is. A revision below 0 (upstream's "inconsistent continuation") reads the newest."""

    revision: int
    start: str

    @classmethod
    def behind(cls, key: str, revision: int) -> "Position":
        return cls(revision, f"{key}\0")


def encode_token(position: Position) -> str:
    document = {"v": _VERSION, "rv": position.revision, "start": f"/{position.start}"}
    return base64.urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


def decode_token(token: str) -> Position:
    """Raises BadRequest in the words of upstream, which reads the document into a struct."""
    token = token.replace("\r", "").replace("\n", "")
    if (wrong := _ALPHABET.match(token).end()) < len(token):  # type: ignore[union-attr]
        raise _invalid(f"illegal base64 data at input byte {wrong}")
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        raise _invalid(f"illegal base64 data at input byte {len(token)}") from None
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _invalid(json_error(text)) from None
    fields = _fields(document)
    if (version := fields.get("v", "")) != _VERSION:
        raise _invalid(f"server does not recognize this encoded version {version}")
    if not (revision := fields.get("rv", 0)):
        raise _invalid(f"incorrect encoded start resourceVersion (version {_VERSION})")
    if not (start := fields.get("start", "")):
        raise _invalid(f"encoded start key empty (version {_VERSION})")
    key = start.removeprefix("/")
    if key and any(part in ("", ".", "..") for part in key.split("/")):
        raise _invalid(start)
    return Position(revision, key)


def _fields(document: Any) -> dict[str, Any]:
    """By the names that the struct has, however they are written; null says nothing."""
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _invalid(f"json: cannot unmarshal {literal(document)} into Go value of type storage.continueToken")
    fields = {}
    for written, value in document.items():
        name = written.lower()
        if name not in _TYPES or value is None:
            continue
        kind, go_type = _TYPES[name]
        if type(value) is not kind or (kind is int and value not in _INT64):
            said = literal(value)
            if kind is int and said == "number":
                said = f"number {value}"
            raise _invalid(f"json: cannot unmarshal {said} into Go struct field continueToken.{name} of type {go_type}")
        fields[name] = value
    return fields


def _invalid(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid: {why}")
