"""Statuses and documents as responses."""

from typing import Any

import orjson

from kajitori.api.errors import StatusError
from kajitori.apiserver.http_types import Response

NOT_A_PATH = Response(404, b"404 page not found\n", "text/plain; charset=utf-8")


def json_response(document: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(document))


def status_response(error: StatusError) -> Response:
    """The Status of a refusal; `retryAfterSeconds` also as a header."""
    document = error.status()
    headers: tuple[tuple[str, str], ...] = ()
    if retry_s := (error.details or {}).get("retryAfterSeconds"):
        headers = (("Retry-After", str(retry_s)),)
    return Response(error.status_code, orjson.dumps(document), headers=headers)


def with_warnings(response: Response, warnings: list[str]) -> Response:
    """Warning headers (RFC 9111's 299), each text once."""
    texts = dict.fromkeys(warnings)
    headers = [("Warning", f'299 - "{_quoted(text)}"') for text in texts]
    response.headers = (*response.headers, *headers)
    return response


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
