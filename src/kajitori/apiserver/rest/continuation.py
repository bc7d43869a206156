"""The continue token of a paged list: where the next page begins, and at which revision."""

import base64
import binascii
import re
from typing import NamedTuple

import orjson

from kajitori.api.errors import BadRequest
from kajitori.kit.syntax_errors import json_error

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


class Position(NamedTuple):
    """`start` is the last key given out. Revision -1 (upstream's "inconsistent continuation") reads the newest."""

    revision: int
    start: str


def encode_token(position: Position) -> str:
    document = {"v": "meta.k8s.io/v1", "rv": position.revision, "start": position.start}
    return base64.urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


def decode_token(token: str) -> Position:
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
    version = document.get("v") if isinstance(document, dict) else None
    if version != "meta.k8s.io/v1":
        named = version if isinstance(version, str) else ""
        raise _invalid(f"server does not recognize this encoded version {named}")
    revision, start = document.get("rv", 0), document.get("start", "")
    if not isinstance(revision, int) or not isinstance(start, str) or revision == 0:
        raise _invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not start:
        raise _invalid("encoded start key is not valid: empty")
    return Position(revision, start)


def _invalid(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid: {why}")
