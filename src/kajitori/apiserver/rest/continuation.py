"""The continue token of a paged list: where the next page begins, and at which revision."""

import base64
import binascii
from typing import NamedTuple

import orjson

from kajitori.api.errors import BadRequest


class Position(NamedTuple):
    """`start` is the last key given out. Revision -1 (upstream's "inconsistent continuation") reads the newest."""

    revision: int
    start: str


def encode_token(position: Position) -> str:
    document = {"v": "meta.k8s.io/v1", "rv": position.revision, "start": position.start}
    return base64.urlsafe_b64encode(orjson.dumps(document)).decode().rstrip("=")


def decode_token(token: str) -> Position:
    try:
        document = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        revision, start = document["rv"], document["start"]
    except (ValueError, binascii.Error, KeyError, TypeError):
        raise BadRequest("continue key is not valid: encoded value is not a continue token") from None
    if document.get("v") != "meta.k8s.io/v1" or not isinstance(revision, int) or not isinstance(start, str):
        raise BadRequest("continue key is not valid: server does not recognize this encoded version")
    return Position(revision, start)
