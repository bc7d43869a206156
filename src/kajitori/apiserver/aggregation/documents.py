"""What an API server behind this one says of itself: discovery and OpenAPI, fetched anew at every check, by ETag.

Of each APIService are kept: one APIVersionDiscovery, one OpenAPI version 2 document, one entry of the version 3 index.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.json_object import json_object

Fetch = Callable[[str, dict[str, str]], Awaitable[tuple[int, dict[str, str], bytes]]]
"""A GET of a path with headers: status, headers, body."""

_DISCOVERY = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
_JSON = {"accept": "application/json"}


class RemoteDocuments:
    """Of one group and version."""

    def __init__(self, group: str, version: str) -> None:
        self._group = group
        self._version = version
        self._discovery: Object | None = None
        self._discovery_tag = ""
        self._stale = True
        self.openapi: Object | None = None
        """The paths of this version and the definitions, Swagger 2.0."""
        self.openapi_tag = ""
        self.openapi_v3: Object | None = None
        """`{"serverRelativeURL": ...}`."""

    @property
    def discovery(self) -> Object:
        """An APIVersionDiscovery: without resources until the server has answered once."""
        known = self._discovery or {"version": self._version}
        return {**known, "freshness": "Stale" if self._stale else "Current"}

    def mark_stale(self) -> None:
        self._stale = True

    async def refresh(self, fetch: Fetch) -> None:
        """Raises StatusError, ValueError, Disconnected when the server does not answer; what was known stays."""
        try:
            await self._refresh_discovery(fetch)
        except Exception:
            self._stale = True
            raise
        await self._refresh_v2(fetch)
        await self._refresh_v3(fetch)

    async def _refresh_discovery(self, fetch: Fetch) -> None:
        headers = {"accept": _DISCOVERY}
        if self._discovery_tag and self._discovery is not None:
            headers["if-none-match"] = self._discovery_tag
        status, answered, body = await fetch("/apis", headers)
        if status == 503:
            raise StatusError("/apis answered 503")
        if status == 304 and self._discovery is not None:
            self._stale = False
            return
        found = None
        if status == 200 and "apigroupdiscoverylist" in answered.get("content-type", "").lower().replace("as=", ""):
            found = _version_in(json_object(body), self._group, self._version) or {"version": self._version}
            self._discovery_tag = answered.get("etag", "")
        else:
            self._discovery_tag = ""
            path = f"/apis/{self._group}/{self._version}" if self._group else f"/api/{self._version}"
            status, _, body = await fetch(path, _JSON)
            if status != 200:
                raise StatusError(f"{path} answered {status}")
            resources = from_resource_list(json_object(body), self._group, self._version)
            found = {"version": self._version, "resources": resources}
        self._discovery = {key: value for key, value in found.items() if key != "freshness"}
        self._stale = False

    async def _refresh_v2(self, fetch: Fetch) -> None:
        headers = {**_JSON, **({"if-none-match": self.openapi_tag} if self.openapi_tag else {})}
        status, answered, body = await fetch("/openapi/v2", headers)
        if status == 304:
            return
        if status != 200:
            self.openapi, self.openapi_tag = None, ""
            return
        whole = json_object(body)
        root = f"/apis/{self._group}/{self._version}"
        ours = ("definitions", "paths", "swagger")
        self.openapi = {key: whole[key] for key in ours if isinstance(whole.get(key), dict | str)}
        paths = self.openapi.get("paths") or {}
        self.openapi["paths"] = {p: item for p, item in paths.items() if p == root or p.startswith(root + "/")}
        self.openapi_tag = answered.get("etag", "")

    async def _refresh_v3(self, fetch: Fetch) -> None:
        status, _, body = await fetch("/openapi/v3", _JSON)
        paths = json_object(body).get("paths") if status == 200 else None
        found = paths.get(f"apis/{self._group}/{self._version}") if isinstance(paths, dict) else None
        self.openapi_v3 = found if isinstance(found, dict) else None


def _version_in(document: Object, group: str, version: str) -> Object | None:
    for item in _objects(document.get("items")):
        if (item.get("metadata") or {}).get("name", "") != group:
            continue
        for found in _objects(item.get("versions")):
            if found.get("version") == version:
                return found
    return None


def _objects(found: Any) -> list[Object]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def from_resource_list(document: Object, group: str, version: str) -> list[Object]:
    """An APIResourceList as aggregated discovery says the same."""
    found: dict[str, Object] = {}
    parts: list[Object] = []
    for row in _objects(document.get("resources")):
        name, _, subresource = str(row.get("name", "")).partition("/")
        kind = {
            "group": row.get("group") or group,
            "version": row.get("version") or version,
            "kind": row.get("kind", ""),
        }
        if subresource:
            parts.append(
                {"of": name, "subresource": subresource, "responseKind": kind, "verbs": row.get("verbs") or []}
            )
            continue
        found[name] = {
            "resource": name,
            "responseKind": kind,
            "scope": "Namespaced" if row.get("namespaced") else "Cluster",
            "singularResource": row.get("singularName", ""),
            "verbs": row.get("verbs") or [],
            **{key: row[key] for key in ("shortNames", "categories") if row.get(key)},
        }
    for part in parts:
        name = part.pop("of")
        parent = found.setdefault(
            name, {"resource": name, "responseKind": {"group": "", "version": "", "kind": ""}, "verbs": []}
        )
        parent.setdefault("subresources", []).append(part)
    return list(found.values())
