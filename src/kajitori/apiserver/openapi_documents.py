"""/openapi/v2 and /openapi/v3 over HTTP: documents with the ETag that lets a client keep its copy.

Version 2 is also given in protobuf, because client-go asks for nothing else there; version 3 is JSON only, and whoever
accepts no JSON is told so (406).
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate

import orjson

from kajitori.api.meta import Object
from kajitori.api.openapi import Document, in_protobuf
from kajitori.api.openapi import OpenApi as Documents
from kajitori.api.registry import Registry
from kajitori.apiserver.conditional import served
from kajitori.apiserver.http_types import JSON, RequestContext, Response
from kajitori.kit.clock import Clock

DOCUMENT_BYTES = 2 << 20
"""About what making a document is worth."""
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_FORMS = {JSON: JSON, PROTOBUF: PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": PROTOBUF}
"""What version 2 is given in; the last is the name before 1.26, which clients still send."""
_TEXT = "text/plain; charset=utf-8"
_VARY = (("Vary", "Accept"),)
_YEAR_S = 365 * 24 * 3600
_TIMES_MAX = 4096
"""Documents of which it is known since when they are what they are."""


class OpenApi:
    """Answers from the registry's documents."""

    def __init__(self, registry: Registry, version: str, clock: Clock) -> None:
        self._documents = Documents(registry, version)
        self._clock = clock
        self._since: dict[str, tuple[str, float]] = {}
        """By path: the last ETag, and since when it is that."""
        self._merged: tuple[str, Document] | None = None
        self.others: Callable[[], Sequence[tuple[str, Object]]] = list
        """Tags and version 2 documents of other servers."""
        self.others_v3: Callable[[], Mapping[str, Object]] = dict
        """By path, what the version 3 index says of other servers' versions."""

    def answer(self, context: RequestContext) -> Callable[[], Response | None]:
        """What finds the answer, None for a path that names no document. It is work of some size, to be called apart
        from the event loop: what belongs to the loop is asked for here."""
        path = context.path.removeprefix("/openapi/")
        others, others_v3 = self.others(), self.others_v3()

        def respond() -> Response | None:
            if path == "v3":
                return self._index(context, others_v3)
            if path == "v2":
                media = chosen(context.headers.get("accept", ""), _FORMS)
                if not media:
                    return Response(406, b"", "", _VARY)
                document = self._v2(others)
                return self._served(context, in_protobuf(document) if media == PROTOBUF else document, media)
            return self._v3(context, path.removeprefix("v3/")) if path.startswith("v3/") else None

        return respond

    def _index(self, context: RequestContext, others: Mapping[str, Object]) -> Response:
        paths = self._documents.v3_index()["paths"] | others
        body = orjson.dumps({"paths": dict(sorted(paths.items()))})
        since_s = self._since_when(context.path, hashlib.sha256(body).hexdigest())
        return served(context, Response(200, body, _TEXT), "", since_s)

    def _v3(self, context: RequestContext, path: str) -> Response:
        media = chosen(context.headers.get("accept", ""), {JSON: JSON})
        if media is None:
            return Response(200, b"", "", _VARY)
        if not media:
            return Response(406, b"", "", _VARY)
        document = self._documents.v3(path)
        if document is None:
            return Response(404, b"", "")
        said = context.query.get("hash")
        if said and said != document.etag:
            return Response(301, b"", "", (("Location", f"/openapi/v3/{path}?hash={document.etag}"), *_VARY))
        return self._served(context, document, JSON, for_ever=bool(said))

    def _served(self, context: RequestContext, document: Document, media: str, *, for_ever: bool = False) -> Response:
        headers: tuple[tuple[str, str], ...] = _VARY
        if for_ever:
            expires = formatdate(self._clock.now() + _YEAR_S, usegmt=True)
            headers += (("Cache-Control", "public, immutable"), ("Expires", expires))
        since_s = self._since_when(f"{context.path} {media}", document.etag)
        return served(context, Response(200, document.body, media, headers), f'"{document.etag}"', since_s)

    def _since_when(self, what: str, tag: str) -> float:
        """When there are too many, all are forgotten: somebody is sent once more what he had."""
        if (known := self._since.get(what)) is None or known[0] != tag:
            if len(self._since) >= _TIMES_MAX:
                self._since.clear()
            known = self._since[what] = (tag, self._clock.now())
        return known[1]

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


def chosen(header: str, forms: Mapping[str, str]) -> str | None:
    """The best alternative's form, "" for one that there is none of; None where the header names no alternative."""
    alternatives = []
    for text in (header or "*/*").split(","):
        media, *parameters = (part.strip() for part in text.split(";"))
        major, slash, minor = media.partition("/")
        if slash or media == "*":
            alternatives.append((-_quality(parameters), major == "*", minor in ("*", ""), major, minor or "*"))
    for _, _, _, major, minor in sorted(alternatives, key=lambda alternative: alternative[:3]):
        for name, form in forms.items():
            known_major, _, known_minor = name.partition("/")
            if major in (known_major, "*") and minor in (known_minor, "*"):
                return form
    return "" if alternatives else None


def _quality(parameters: Sequence[str]) -> float:
    try:
        return float(next((p[2:] for p in parameters if p.startswith("q=")), "1"))
    except ValueError:
        return 1.0
