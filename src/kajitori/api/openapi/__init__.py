"""The OpenAPI documents that kubectl explain, apply and diff read: made when asked for, kept until the kinds change.

A document is up to 2 MB; the newest few are kept, because clients ask once and cache by ETag themselves.
"""

import hashlib
import pathlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import orjson

from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource

if TYPE_CHECKING:
    from kajitori.api.openapi.operations import Path

DOCUMENTS_MAX = 4
"""Documents kept in memory; the one asked for longest ago is dropped."""


@dataclass(frozen=True, slots=True)
class Document:
    """JSON (or protobuf) and the ETag (unquoted) that changes with it."""

    body: bytes
    etag: str


@cache
def _edition() -> str:
    """Changes with the code that makes the documents: kubectl keeps them on disk while their hash is the same."""
    files = sorted(path for path in pathlib.Path(__file__).parent.iterdir() if path.suffix in (".json", ".py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _subresources(resource: Resource) -> list[tuple[str, tuple[str, ...], str]]:
    return [(s.name, s.verbs, s.kind) for s in resource.subresources]


def _fields(resource: Resource) -> list[str]:
    """Those that a custom kind can be selected by; they are published."""
    return [] if resource.schema is None else list(resource.stored_field_names)


def in_protobuf(document: Document) -> Document:
    """A version 2 document in protobuf; not kept, because a client that wants it asks once."""
    from kajitori.api.openapi.binary import encoded

    body = encoded(orjson.loads(document.body))
    return Document(body, hashlib.sha512(body).hexdigest().upper())


class OpenApi:
    """The documents of a registry's kinds. `version` is what the server calls itself."""

    def __init__(self, registry: Registry, version: str) -> None:
        self._registry = registry
        self._version = version
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def v3_index(self) -> Object:
        """What `/openapi/v3` answers: a path for every group and version, with a hash for the client's cache."""
        documents = self._groups()
        tags = {path: self._fingerprint(resources) for path, resources in documents.items()}
        tags |= {path: self._fingerprint([], path) for path in self._general(documents)}
        return {
            "paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={tags[path]}"} for path in sorted(tags)}
        }

    def v3(self, path: str) -> Document | None:
        """The document of `api/v1`, of `apis/apps/v1` or of a path of no kind (`version`); None for others."""
        from kajitori.api.openapi import documents

        groups = self._groups()
        if (resources := groups.get(path)) is not None:
            return self._document(
                path, self._fingerprint(resources), lambda: documents.version_3(resources, self._version)
            )
        if (general := self._general(groups).get(path)) is None:
            return None
        tag = self._fingerprint([], path)
        return self._document(path, tag, lambda: documents.general_version_3(general, self._version))

    def v2(self) -> Document:
        from kajitori.api.openapi import documents

        resources = list(self._registry)
        return self._document("v2", self._fingerprint(resources), lambda: documents.version_2(resources, self._version))

    def _general(self, groups: dict[str, list[Resource]]) -> "dict[str, Path]":
        from kajitori.api.openapi.general_paths import general_paths

        return general_paths({kind.group for kinds in groups.values() for kind in kinds if kind.schema is None})

    def _groups(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in list(self._registry):  # at once: kinds may come and go meanwhile
            path = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
            found.setdefault(path, []).append(resource)
        return found

    def _fingerprint(self, resources: list[Resource], name: str = "") -> str:
        facts = [
            [
                r.api_version,
                r.plural,
                r.kind,
                r.list_kind,
                r.namespaced,
                r.verbs,
                r.schema,
                _subresources(r),
                _fields(r),
            ]
            for r in sorted(resources, key=lambda r: (r.api_version, r.plural))
        ]
        seed = orjson.dumps([self._version, _edition(), name, facts], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha512(seed).hexdigest().upper()

    def _document(self, key: str, etag: str, make: Callable[[], Object]) -> Document:
        kept = self._kept.get(key)
        if kept is None or kept.etag != etag:
            kept = self._kept[key] = Document(orjson.dumps(make()), etag)
        self._kept.move_to_end(key)
        while len(self._kept) > DOCUMENTS_MAX:
            self._kept.popitem(last=False)
        return kept
