"""/openapi/v2 and /openapi/v3 over HTTP: documents with the ETag that lets a client keep its copy."""

import orjson

from kajitori.api.openapi import Document
from kajitori.api.openapi import OpenApi as Documents
from kajitori.api.registry import Registry
from kajitori.apiserver.http_types import JSON, RequestContext, Response


class OpenApi:
    """Answers from the registry's documents."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._documents = Documents(registry, version)

    def respond(self, context: RequestContext) -> Response | None:
        """None for a path that names no document."""
        path = context.path.strip("/")
        if path == "openapi/v3":
            return Response(200, orjson.dumps(self._documents.v3_index()), JSON)
        if path == "openapi/v2":
            return _answer(context, self._documents.v2())
        document = self._documents.v3(path.removeprefix("openapi/v3/"))
        return None if document is None else _answer(context, document)


def _answer(context: RequestContext, document: Document) -> Response:
    tag = f'"{document.etag}"'
    headers: tuple[tuple[str, str], ...] = (("ETag", tag), ("Vary", "Accept"))
    if context.query.get("hash"):
        headers += (("Cache-Control", "public, immutable"),)
    if context.headers.get("if-none-match") == tag:
        return Response(304, b"", "", headers)
    return Response(200, document.body, JSON, headers)
