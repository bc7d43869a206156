"""Statuses and documents as responses."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson

from kajitori.api.errors import NotAcceptable, StatusError
from kajitori.apiserver.http_types import Response
from kajitori.apiserver.negotiate import Accepted, accepted_as_object, encode_document

_PLAIN = Accepted()
NOT_A_PATH = Response(
    404, b"404 page not found\n", "text/plain; charset=utf-8", (("X-Content-Type-Options", "nosniff"),)
)


def json_response(document: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(document))


def status_response(error: StatusError, accept: str = "") -> Response:
    """The Status of a refusal, in JSON or in what the request accepts; `retryAfterSeconds` also as a header."""
    headers: tuple[tuple[str, str], ...] = ()
    if retry_s := (error.details or {}).get("retryAfterSeconds"):
        headers = (("Retry-After", str(retry_s)),)
    form = _PLAIN
    if "yaml" in accept:
        with suppress(NotAcceptable):
            form = accepted_as_object(accept)
    return Response(error.status_code, encode_document(error.status(), form), form.content_type, headers)


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_WARNINGS_LENGTH_MAX, _WARNING_LENGTH_MAX = 4096, 256
"""Of all texts of an answer together; when they are longer, of each (upstream's: clients bound what they read)."""


def with_warnings(response: Response, warnings: list[str]) -> Response:
    """With Warning headers (RFC 9111's 299), each text once, those with control characters left out. A copy, because
    some answers are shared by all requests."""
    texts = [text for text in dict.fromkeys(warnings) if text and not _CONTROL.search(text)]
    if sum(map(len, texts)) > _WARNINGS_LENGTH_MAX:
        texts = list(_cut(texts))
    headers = [("Warning", f'299 - "{_quoted(text)}"') for text in texts]
    return replace(response, headers=(*response.headers, *headers))


def _cut(texts: list[str]) -> Iterator[str]:
    length = 0
    for text in texts:
        if length >= _WARNINGS_LENGTH_MAX:
            return
        yield text[:_WARNING_LENGTH_MAX]
        length += min(len(text), _WARNING_LENGTH_MAX)


def _quoted(text: str) -> str:
    """In UTF-8, though the wire's letters are Latin-1."""
    return text.replace("\\", "\\\\").replace('"', '\\"').encode().decode("latin-1")
