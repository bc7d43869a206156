"""What is served: /api, /apis, a group, a group's version, and all of it at once (aggregated discovery, KEP-3352)."""

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.http_types import RequestContext, Response
from kajitori.apiserver.negotiate import Accepted, Form, accepted, encode_document

PREFERRED = {"autoscaling": "v2"}
"""Where the preferred version is not the first that is registered."""

_ORDER = (
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
"""The order in which kubectl meets the groups: the first to know a short name wins."""

ExtraGroups = Callable[[], Iterable[Object]]
"""APIGroupDiscovery documents of aggregated API servers."""


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

    def __init__(self, registry: Registry, server_address: Callable[[], str] = lambda: "") -> None:
        self._registry = registry
        self._server_address = server_address
        self.extra_groups: list[ExtraGroups] = []

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the preferred first; the core group "" apart from the others."""
        found: dict[str, list[str]] = {}
        for resource in self._registry:
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        for group, versions in found.items():
            versions.sort(key=version_rank, reverse=True)
            if (preferred := PREFERRED.get(group)) in versions:
                versions.remove(preferred)
                versions.insert(0, preferred)
        ranks = {group: rank for rank, group in enumerate(_ORDER)}
        return dict(sorted(found.items(), key=lambda item: (ranks.get(item[0], len(ranks)), item[0])))

    def _resources(self, group: str, version: str) -> list[Resource]:
        return [r for r in self._registry if r.group == group and r.version == version]

    def _extra(self) -> list[Object]:
        return [document for source in self.extra_groups for document in source()]

    # the documents

    def api_versions(self) -> Object:
        address = self._server_address()
        return {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        }

    def group(self, group: str) -> Object | None:
        versions = self.groups().get(group)
        if versions is None or not group:
            return next((self._group_of(e) for e in self._extra() if e["metadata"]["name"] == group), None)
        listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        return {
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "versions": listed,
            "preferredVersion": listed[0],
        }

    @staticmethod
    def _group_of(document: Object) -> Object:
        name = document["metadata"]["name"]
        listed = [{"groupVersion": f"{name}/{v['version']}", "version": v["version"]} for v in document["versions"]]
        return {"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": listed, "preferredVersion": listed[0]}

    def group_list(self) -> Object:
        names = [*(g for g in self.groups() if g), *(e["metadata"]["name"] for e in self._extra())]
        groups = []
        for name in dict.fromkeys(names):
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
            row = _row(resource.plural, resource.singular or resource.kind.lower(), resource, resource.verbs)
            row["kind"] = resource.kind
            if resource.short_names:
                row["shortNames"] = list(resource.short_names)
            if resource.categories:
                row["categories"] = list(resource.categories)
            if "watch" in resource.verbs:
                row["storageVersionHash"] = _hash(resource)
            rows.append(row)
            for subresource in resource.subresources:
                part = _row(f"{resource.plural}/{subresource.name}", "", resource, subresource.verbs)
                if subresource.version:
                    part |= {"group": subresource.group, "version": subresource.version}
                part["kind"] = subresource.kind or resource.kind
                rows.append(part)
        rows.sort(key=lambda row: row["name"])
        document: Object = {"kind": "APIResourceList", "groupVersion": f"{group}/{version}" if group else version}
        return {**document, "resources": rows} if not group else {**document, "apiVersion": "v1", "resources": rows}

    def aggregated(self, version: str, *, core: bool) -> Object:
        items = [self._aggregated_group(g, vs) for g, vs in self.groups().items() if (g == "") is core]
        if not core:
            items += self._extra()
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": f"apidiscovery.k8s.io/{version}",
            "metadata": {},
            "items": items,
        }

    def _aggregated_group(self, group: str, versions: list[str]) -> Object:
        return {
            "metadata": {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None},
            "versions": [
                {
                    "version": version,
                    "freshness": "Current",
                    "resources": [
                        _aggregated_resource(resource)
                        for resource in sorted(self._resources(group, version), key=lambda r: r.plural)
                    ],
                }
                for version in versions
            ],
        }

    # serving

    def respond(self, context: RequestContext) -> Response | None:
        """The answer for /api..., /apis...; None when there is no such path."""
        parts = [part for part in context.path.split("/") if part]
        accept = accepted(context.headers.get("accept", ""))
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
        aggregated = document["kind"] == "APIGroupDiscoveryList"
        body = encode_document(document, accept)
        headers: tuple[tuple[str, str], ...] = ()
        if aggregated:
            tag = '"' + hashlib.sha256(body).hexdigest().upper() + '"'
            headers = (("ETag", tag), ("Vary", "Accept"))
            if context.headers.get("if-none-match") == tag:
                return Response(304, b"", "", headers)
            return Response(200, body, accept.content_type, headers)
        return Response(200, body, "application/yaml" if accept.yaml else "application/json")

    def _maybe_aggregated(self, accept: Accepted, *, core: bool) -> Object | None:
        return self.aggregated(accept.version, core=core) if accept.form is Form.DISCOVERY else None


def _row(name: str, singular: str, resource: Resource, verbs: Iterable[str]) -> Object:
    return {
        "name": name,
        "singularName": singular,
        "namespaced": resource.namespaced,
        "kind": "",
        "verbs": sorted(verbs),
    }


def _hash(resource: Resource) -> str:
    stored = resource.stored_as or resource
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{stored.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _aggregated_resource(resource: Resource) -> Object:
    def kind(name: str, group: str = resource.group, version: str = resource.version) -> Object:
        return {"group": group, "version": version, "kind": name}

    document: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": sorted(resource.verbs),
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
                "verbs": sorted(part.verbs),
            }
            for part in sorted(resource.subresources, key=lambda part: part.name)
        ]
    return document
