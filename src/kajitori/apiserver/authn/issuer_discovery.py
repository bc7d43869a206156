"""How others verify our service account tokens: OpenID Connect discovery (KEP-1393)."""

from collections.abc import Mapping

import orjson

from kajitori.apiserver.authn.keyring import Keyring
from kajitori.apiserver.http_types import Handler, RequestContext, Response
from kajitori.apiserver.refusals import no_such_resource
from kajitori.apiserver.special.bodies import only

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
_CACHED_FOR = ("cache-control", "public, max-age=3600")


class IssuerDiscovery:
    def __init__(self, keys: Keyring, issuer: str) -> None:
        self._keys = orjson.dumps({"keys": [key.jwk() for key in keys]})
        self._configuration = orjson.dumps(
            {
                "issuer": issuer,
                "jwks_uri": f"{issuer}{KEYS}",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": sorted({key.algorithm for key in keys}),
            }
        )

    def path_handlers(self) -> Mapping[str, Handler]:
        return {CONFIGURATION: self._serve_configuration, KEYS: self._serve_keys}

    async def _serve_configuration(self, context: RequestContext) -> Response:
        _check(context, CONFIGURATION)
        return Response(200, self._configuration, headers=(_CACHED_FOR,))

    async def _serve_keys(self, context: RequestContext) -> Response:
        _check(context, KEYS)
        return Response(200, self._keys, "application/jwk-set+json", (_CACHED_FOR,))


def _check(context: RequestContext, path: str) -> None:
    """Nothing stands below. Raises NotFound, MethodNotAllowed."""
    if context.path.rstrip("/") != path:
        raise no_such_resource()
    only(context, "GET")
