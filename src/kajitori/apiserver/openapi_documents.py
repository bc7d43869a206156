"""/openapi/v2 and /openapi/v3 over HTTP: documents with the ETag that lets a client keep its copy.

Version 2 is also given in protobuf, because client-go asks for nothing else there; version 3 is JSON only, and whoever
accepts no JSON is told so (406).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import orjson

from kajitori.api.meta import Object
from kajitori.api.openapi import Document, in_protobuf
from kajitori.api.openapi import OpenApi as Documents
from kajitori.api.registry import Registry
from kajitori.apiserver.http_types import JSON, RequestContext, Response

DOCUMENT_BYTES = 2 << 20
"""About what making a document is worth."""
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PROTOBUF_NAMES = (PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
"""The name since 1.26, and the one before it, which clients still send."""
_JSON_NAMES = (JSON, "application/*", "*/*")


class OpenApi:
    """Answers from the registry's documents."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._documents = Documents(registry, version)
        self._merged: tuple[str, Document] | None = None
        self.others: Callable[[], Sequence[tuple[str, Object]]] = list
        """Tags and version 2 documents of other servers."""
        self.others_v3: Callable[[], Mapping[str, Object]] = dict
        """By path, what the version 3 index says of other servers' versions."""

    def answer(self, context: RequestContext) -> Callable[[], Response | None]:
        """What finds the answer, None for a path that names no document. It is work of some size, to be called apart
        from the event loop: what belongs to the loop is asked for here."""
        path = context.path.strip("/")
        others, others_v3 = self.others(), self.others_v3()

        def respond() -> Response | None:
            if path == "openapi/v3":
                paths = self._documents.v3_index()["paths"] | others_v3
                return Response(200, orjson.dumps({"paths": dict(sorted(paths.items()))}), JSON)
            if path == "openapi/v2":
                document = self._v2(others)
                if _chosen(context, _PROTOBUF_NAMES):
                    return _answer(context, in_protobuf(document), PROTOBUF)
                return _answer(context, document)
            found = self._documents.v3(path.removeprefix("openapi/v3/"))
            return None if found is None else _answer(context, found)

        return respond

    def _v2(self, others: Sequence[tuple[str, Object]]) -> Document:
        """Our own, or one with those of other servers, of which the last is kept."""
        own = self._documents.v2()
        if not others:
            self._merged = None
            return own
        key = " ".join((own.etag, *(tag for tag, _ in others)))
        if self._merged is None or self._merged[0] != key:
            from kajitori.apiserver.aggregation.openapi_merge import merged

            body = orjson.dumps(merged(orjson.loads(own.body), [document for _, document in others]))
            self._merged = (key, Document(body, hashlib.sha512(body).hexdigest().upper()))
        return self._merged[1]


def _chosen(context: RequestContext, names: tuple[str, ...]) -> bool:
    """Whether the first alternative that can be served is one of these."""
    header = context.headers.get("accept", "")
    media = [alternative.partition(";")[0].strip().lower() for alternative in header.split(",")]
    known = (name for name in media if name in _PROTOBUF_NAMES or name in _JSON_NAMES)
    return next(known, "") in names


def _answer(context: RequestContext, document: Document, media: str = JSON) -> Response:
    if media == JSON and context.headers.get("accept") and not _chosen(context, _JSON_NAMES):
        return Response(406, b"", "")
    tag = f'"{document.etag}"'
    headers: tuple[tuple[str, str], ...] = (("ETag", tag), ("Vary", "Accept"))
    if context.query.get("hash"):
        headers += (("Cache-Control", "public, immutable"),)
    if context.headers.get("if-none-match") == tag:
        return Response(304, b"", "", headers)
    return Response(200, document.body, media, headers)
