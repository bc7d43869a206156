"""The OpenAPI documents that kubectl explain, apply and diff read: made when asked for, kept until the kinds change.

A document is up to 2 MB; the newest few are kept, because clients ask once and cache by ETag themselves.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource

DOCUMENTS_MAX = 4
"""Documents kept in memory; the one asked for longest ago is dropped."""


@dataclass(frozen=True, slots=True)
class Document:
    """JSON (or protobuf) and the ETag (unquoted) that changes with it."""

    body: bytes
    etag: str


def _subresources(resource: Resource) -> list[tuple[str, tuple[str, ...], str]]:
    return [(s.name, s.verbs, s.kind) for s in resource.subresources]


def in_protobuf(document: Document) -> Document:
    """A version 2 document in protobuf; not kept, because a client that wants it asks once."""
    from kajitori.api.openapi.binary import encoded

    return Document(encoded(orjson.loads(document.body)), f"{document.etag}-PB")


class OpenApi:
    """The documents of a registry's kinds. `version` is what the server calls itself."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry = registry
        self._version = version
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def v3_index(self) -> Object:
        """What `/openapi/v3` answers: a path for every group and version, with a hash for the client's cache."""
        paths = {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._fingerprint(resources)}"}
            for path, resources in sorted(self._groups().items())
        }
        return {"paths": paths}

    def v3(self, path: str) -> Document | None:
        """The document of `api/v1` or `apis/apps/v1`; None when nothing is served there."""
        resources = self._groups().get(path)
        if resources is None:
            return None
        return self._document(path, resources, version=3)

    def v2(self) -> Document:
        return self._document("v2", list(self._registry), version=2)

    def _groups(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in list(self._registry):  # at once: kinds may come and go meanwhile
            path = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
            found.setdefault(path, []).append(resource)
        return found

    def _fingerprint(self, resources: list[Resource]) -> str:
        facts = [
            [r.api_version, r.plural, r.kind, r.list_kind, r.namespaced, r.verbs, r.schema, _subresources(r)]
            for r in sorted(resources, key=lambda r: (r.api_version, r.plural))
        ]
        seed = orjson.dumps([self._version, facts], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha512(seed).hexdigest().upper()

    def _document(self, key: str, resources: list[Resource], *, version: int) -> Document:
        etag = self._fingerprint(resources)
        kept = self._kept.get(key)
        if kept is not None and kept.etag == etag:
            self._kept.move_to_end(key)
            return kept
        from kajitori.api.openapi import documents

        make: Callable[[list[Resource], str], Object] = documents.version_3 if version == 3 else documents.version_2
        document = self._kept[key] = Document(orjson.dumps(make(resources, self._version)), etag)
        self._kept.move_to_end(key)
        while len(self._kept) > DOCUMENTS_MAX:
            self._kept.popitem(last=False)
        return document
