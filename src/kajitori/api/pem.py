"""PEM as Go reads it: blocks may stand among other text, and what does not decode is passed over."""

import base64
import binascii
from collections.abc import Iterator
from typing import NamedTuple

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"


class Block(NamedTuple):
    type: str
    has_headers: bool
    der: bytes


def blocks(text: bytes) -> Iterator[Block]:
    at = 0
    while (begin := _line_start(text, _BEGIN, at)) >= 0:
        end_of_line = text.find(b"\n", begin)
        end = _line_start(text, _END, begin)
        if end_of_line < 0 or end < 0:
            return
        at = text.find(b"\n", end) + 1 or len(text)
        first, last = text[begin:end_of_line].rstrip(), text[end:at].rstrip()
        type = first[len(_BEGIN) : -len(_DASHES)]
        if not first.endswith(_DASHES) or last != _END + type + _DASHES:
            continue
        body = text[end_of_line + 1 : end]
        head, blank, rest = body.partition(b"\n\n")
        has_headers = bool(blank) and all(b":" in line for line in head.splitlines())
        try:
            der = base64.b64decode(b"".join((rest if has_headers else body).split()), validate=True)
        except binascii.Error:
            continue
        yield Block(type.decode("utf-8", "replace"), has_headers, der)


def _line_start(text: bytes, what: bytes, at: int) -> int:
    """Where a line begins with that; -1 when none does."""
    while (found := text.find(what, at)) > 0 and text[found - 1 : found] != b"\n":
        at = found + 1
    return found
