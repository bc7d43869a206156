"""/openapi/v2 and /openapi/v3: made from the registry when first asked for, kept until a kind comes or goes."""

import hashlib
from collections.abc import Callable

import orjson

from kajitori.api.registry import Registry
from kajitori.apiserver.http_types import JSON, RequestContext, Response


class OpenApi:
    """Bodies are kept by the set of kinds they were made from."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: dict[str, tuple[object, bytes, str]] = {}

    def respond(self, context: RequestContext) -> Response | None:
        path = context.path.strip("/")
        from kajitori.api import openapi  # large: loaded by whoever asks first

        if path == "openapi/v2":
            return self._answer(context, path, lambda: openapi.openapi_v2(self._registry))
        if path == "openapi/v3":
            return self._answer(context, path, lambda: orjson.dumps(openapi.openapi_v3_index(self._registry)))
        if path.startswith("openapi/v3/"):
            _, _, root, *rest = path.split("/")
            group_version = "/".join(rest)
            known = {r.api_version for r in self._registry}
            if root in ("api", "apis") and group_version in known:
                return self._answer(context, path, lambda: openapi.openapi_v3(self._registry, group_version))
        return None

    def _answer(self, context: RequestContext, path: str, make: Callable[[], bytes]) -> Response:
        state = frozenset(map(id, self._registry))
        kept = self._kept.get(path)
        if kept is None or kept[0] != state:
            body = make()
            kept = self._kept[path] = (state, body, f'"{hashlib.sha512(body).hexdigest().upper()[:64]}"')
        _, body, tag = kept
        headers: tuple[tuple[str, str], ...] = (("ETag", tag), ("Vary", "Accept"))
        if context.query.get("hash"):
            headers += (("Cache-Control", "public, immutable"),)
        if context.headers.get("if-none-match") == tag:
            return Response(304, b"", "", headers)
        return Response(200, body, JSON, headers)
