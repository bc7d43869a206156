"""What is served: /api, /apis, a group, a group's version, and all of it at once (aggregated discovery, KEP-3352)."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.aggregation.priorities import Priority, default_priority
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import Accepted, Form, accepted_of_discovery, encode_document
from kajitori.apiserver.refusals import method_not_allowed

Versions = Callable[[], Mapping[tuple[str, str], Object]]
"""By group and version: APIVersionDiscovery documents of what other servers serve. They win over our own."""


def version_rank(version: str) -> tuple[int, int, int]:
    """v2 before v1 before v1beta2 before v1alpha1 (kube-aware version priority); the largest is the first."""
    body = version[1:] if version.startswith("v") else ""
    for stage, word in ((1, "beta"), (0, "alpha")):
        major, found, minor = body.partition(word)
        if found and major.isdigit() and (minor.isdigit() or not minor):
            return (stage, int(major), int(minor or 0))
    return (2, int(body), 0) if body.isdigit() else (-1, 0, 0)


class Discovery:
    """Documents made from the registry when they are asked for: kinds come and go with CustomResourceDefinitions."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.server_address = ""
        """Host and port under which clients are told to reach this server."""
        self.others: Versions = dict
        self.priority: Callable[[str, str], Priority] = default_priority

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the preferred first; the core group "" apart from the others. The order matters: kubectl
        takes the first group that knows a short name."""
        found: dict[str, dict[str, None]] = {}
        for resource in self._registry:
            found.setdefault(resource.group, {})[resource.version] = None
        for group, version in self.others():
            found.setdefault(group, {})[version] = None
        ordered: dict[str, list[str]] = {}
        for group in sorted(found, key=lambda group: (-max(self.priority(group, v)[0] for v in found[group]), group)):
            rank = partial(self._rank, group)
            ordered[group] = sorted(found[group], key=rank, reverse=True)
        return ordered

    def paths(self) -> Iterator[str]:
        for group, versions in self.groups().items():
            if group:
                yield f"/apis/{group}"
            yield from (f"/apis/{group}/{version}" if group else f"/api/{version}" for version in versions)

    def _rank(self, group: str, version: str) -> tuple[int, tuple[int, int, int]]:
        return self.priority(group, version)[1], version_rank(version)

    def _resources(self, group: str, version: str) -> list[Resource]:
        return [r for r in self._registry if r.group == group and r.version == version]

    # the documents

    def api_versions(self) -> Object:
        return {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": self.server_address}],
        }

    def group(self, group: str) -> Object | None:
        versions = self.groups().get(group)
        if versions is None or not group:
            return None
        listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "versions": listed,
            "preferredVersion": listed[0],
        }

    def group_list(self) -> Object:
        groups = []
        for name in filter(None, self.groups()):
            document = self.group(name)
            assert document is not None
            groups.append({key: value for key, value in document.items() if key not in ("kind", "apiVersion")})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def resource_list(self, group: str, version: str) -> Object | None:
        resources = self._resources(group, version)
        if not resources:
            return None
        rows: list[Object] = []
        for resource in resources:
            singular = resource.singular or resource.kind.lower()
            row = _row(resource.plural, singular, resource, resource.verbs, resource.kind)
            if resource.short_names:
                row["shortNames"] = list(resource.short_names)
            if resource.categories:
                row["categories"] = list(resource.categories)
            if "watch" in resource.verbs:
                row["storageVersionHash"] = _hash(resource)
            rows.append(row)
            for subresource in resource.subresources:
                name, kind = f"{resource.plural}/{subresource.name}", subresource.kind or resource.kind
                rows.append(_row(name, "", resource, subresource.verbs, kind, subresource.group, subresource.version))
        rows.sort(key=lambda row: row["name"])
        if not group:
            return {"kind": "APIResourceList", "groupVersion": version, "resources": rows}
        group_version = f"{group}/{version}"
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}

    def aggregated(self, version: str, *, core: bool) -> Object:
        items = [self._aggregated_group(g, vs) for g, vs in self.groups().items() if (g == "") is core]
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }

    def _aggregated_group(self, group: str, versions: list[str]) -> Object:
        return {
            "metadata": {"name": group} if group else {},
            "versions": [self._aggregated_version(group, version) for version in versions],
        }

    def _aggregated_version(self, group: str, version: str) -> Object:
        if (other := self.others().get((group, version))) is not None:
            return other
        resources = sorted(self._resources(group, version), key=lambda r: r.plural)
        return {"version": version, "resources": [_aggregated_resource(r) for r in resources], "freshness": "Current"}

    # serving

    def respond(self, context: RequestContext) -> Response | None:
        """The answer for /api..., /apis...; None when there is no such path."""
        path, header = context.path, context.headers.get("accept", "")
        if path.startswith("//"):
            return None
        parts = path.strip("/").split("/")
        if parts == ["apis"] and path.endswith("//"):
            return None
        routed = parts[0] == "api" or len(parts) == 3
        accept = accepted_of_discovery(header, aggregated=len(parts) == 1, routed=routed)
        document: Object | None = None
        match parts:
            case ["api"]:
                document = self._maybe_aggregated(accept, core=True) or self.api_versions()
            case ["apis"]:
                document = self._maybe_aggregated(accept, core=False) or self.group_list()
            case ["api", version]:
                document = self.resource_list("", version)
            case ["apis", group]:
                document = self.group(group)
            case ["apis", group, version]:
                document = self.resource_list(group, version)
        if document is None:
            return None
        if context.method != "GET" and routed:
            raise method_not_allowed()
        aggregated = document["kind"] == "APIGroupDiscoveryList"
        body = encode_document(document, accept)
        headers: tuple[tuple[str, str], ...] = ()
        if aggregated:
            tag = '"' + hashlib.sha256(body).hexdigest().upper() + '"'
            headers = (("ETag", tag), ("Vary", "Accept"), ("Cache-Control", "public"))
            if context.headers.get("if-none-match") == tag:
                return Response(304, b"", "", headers)
            return Response(200, body, accept.content_type, headers)
        return Response(200, body, "application/yaml" if accept.yaml else "application/json")

    def _maybe_aggregated(self, accept: Accepted, *, core: bool) -> Object | None:
        return self.aggregated(accept.version, core=core) if accept.form is Form.DISCOVERY else None


def _ordered(resource: Resource, verbs: Iterable[str]) -> list[str]:
    """Those of custom resources are alphabetical but for one: a definition that goes has none to create."""
    creates = resource.schema is not None
    return sorted(verbs, key=lambda verb: "patch-" if creates and verb == "create" else verb)


def _row(
    name: str,
    singular: str,
    resource: Resource,
    verbs: Iterable[str],
    kind: str,
    group: str = "",
    version: str = "",
) -> Object:
    row: Object = {"name": name, "singularName": singular, "namespaced": resource.namespaced}
    if version:
        row |= {"group": group, "version": version} if group else {"version": version}
    return {**row, "kind": kind, "verbs": _ordered(resource, verbs)}


def _hash(resource: Resource) -> str:
    stored = resource.stored_as or resource
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{stored.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _aggregated_resource(resource: Resource) -> Object:
    # The group and version that everything stands under are said of custom kinds only.
    own = (resource.group, resource.version) if resource.schema is not None else ("", "")

    def kind(name: str, group: str = own[0], version: str = own[1]) -> Object:
        return {"group": group, "version": version, "kind": name}

    document: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": _ordered(resource, resource.verbs),
    }
    if resource.short_names:
        document["shortNames"] = list(resource.short_names)
    if resource.categories:
        document["categories"] = list(resource.categories)
    if resource.subresources:
        document["subresources"] = [
            {
                "subresource": part.name,
                "responseKind": kind(part.kind or resource.kind, part.group, part.version)
                if part.version
                else kind(part.kind or resource.kind),
                "verbs": _ordered(resource, part.verbs),
            }
            for part in sorted(resource.subresources, key=lambda part: part.name if resource.schema is None else "")
        ]
    return document
