"""A document that a client may hold already, or want a part of (RFC 9110, sections 13 and 14): by its ETag, by the time
since when it is what it is, by a range of bytes. The order of the questions is Go's `http.ServeContent`.
"""

import re
from calendar import timegm
from email.utils import formatdate, parsedate

from kajitori.apiserver.http_types import RequestContext, Response

_TAG = re.compile(r'\s*(W/)?("[^"]*")\s*(?:,|$)')
_RANGE = re.compile(r"bytes=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*$", re.ASCII)


def served(context: RequestContext, content: Response, tag: str, since_s: float) -> Response:
    """`content` with its ETag (`tag`, with its quotes; "" for none) and time, or what there is to say instead."""
    head = context.headers
    modified = (("Last-Modified", formatdate(int(since_s), usegmt=True)),)
    tagged = (("ETag", tag), *content.headers) if tag else content.headers
    reading = context.method in ("GET", "HEAD")
    if (wanted := head.get("if-match")) is not None:
        failed = not _names(wanted, tag, weakly=False)
    else:
        failed = _is_older(head.get("if-unmodified-since"), since_s) is True
    held = False
    if (known := head.get("if-none-match")) is not None:
        held = _names(known, tag, weakly=True)
        failed = failed or (held and not reading)
    elif reading:
        held = _is_older(head.get("if-modified-since"), since_s) is False
    if failed:
        return Response(412, b"", content.content_type, (*tagged, *modified))
    if held:
        return Response(304, b"", "", tagged if tag else (*tagged, *modified))
    return _part(head.get("range", ""), content, (*tagged, *modified, ("Accept-Ranges", "bytes")))


def _names(text: str, tag: str, *, weakly: bool) -> bool:
    """Whether one of the tags, read up to the first that is none, is ours."""
    if text.strip() == "*":
        return True
    at = 0
    while found := _TAG.match(text, at):
        if tag and found[2] == tag and (weakly or not found[1]):
            return True
        at = found.end()
    return False


def _is_older(date: str | None, since_s: float) -> bool | None:
    """Whether a date lies before ours; None for what is no date."""
    found = parsedate(date) if date else None
    return None if found is None else timegm(found) < int(since_s)


def _part(wanted: str, content: Response, headers: tuple[tuple[str, str], ...]) -> Response:
    """The one range of bytes that was asked for, or everything."""
    size = len(content.body)
    found = _RANGE.match(wanted)
    if found is None or not (found[1] or found[2]):
        return Response(200, content.body, content.content_type, headers)
    first = int(found[1]) if found[1] else max(0, size - int(found[2]))
    last = min(int(found[2]), size - 1) if found[1] and found[2] else size - 1
    if first >= size or last < first:
        nowhere = b"invalid range: failed to overlap\n"
        return Response(416, nowhere, "text/plain; charset=utf-8", (*headers, ("Content-Range", f"bytes */{size}")))
    body = content.body[first : last + 1]
    return Response(206, body, content.content_type, (*headers, ("Content-Range", f"bytes {first}-{last}/{size}")))
