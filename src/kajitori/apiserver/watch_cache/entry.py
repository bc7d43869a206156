"""One object and one change of it, as the cache keeps them."""

import sys
from collections.abc import Mapping
from functools import lru_cache

import orjson

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import revised, with_revision

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
_NOTHING: Mapping[str, str] = {}
_LABELS = b'"labels":'


@lru_cache(maxsize=4096)
def _mapping(keys: tuple[str, ...], values: tuple[str, ...]) -> Mapping[str, str]:
    """Labels and fields repeat from object to object, so equal ones are one mapping (600 bytes less a pod), and equal
    values of different ones are one text."""
    return dict(zip(keys, map(sys.intern, values), strict=True))


class Entry:
    """`body` is the stored document with its resourceVersion; `labels` and `fields` are what selectors look at."""

    __slots__ = ("_fields", "_object", "body", "labels", "name", "namespace", "revision")

    def __init__(self, namespace: str, name: str, value: bytes, revision: int) -> None:
        self.namespace = sys.intern(namespace)
        self.name = name
        self.revision = revision
        self.body = with_revision(value, revision)
        self.labels: Mapping[str, str] = _NOTHING
        self._fields: Mapping[str, str] = _NOTHING
        self._object: Object | None = None

    def index(self, resource: Resource | None) -> Object | None:
        """Read labels and selectable fields; returns the decoded object, which is not kept, if it had to be decoded."""
        readers = resource.selectable_fields if resource is not None else {}
        if not readers and _LABELS not in self.body:
            return None
        document: Object = self._object if self._object is not None else orjson.loads(self.body)
        if labels := document["metadata"].get("labels"):
            self.labels = _mapping(tuple(labels), tuple(labels.values()))
        if readers:
            self._fields = _mapping(tuple(readers), tuple([read(document) for read in readers.values()]))
        return document

    def field(self, path: str) -> str:
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        return self._fields.get(path, "")

    @property
    def fields(self) -> Mapping[str, str]:
        return {"metadata.name": self.name, "metadata.namespace": self.namespace, **self._fields}

    @property
    def object(self) -> Object:
        """The decoded object, shared and from now on kept: never change it."""
        if self._object is None:
            self._object = orjson.loads(self.body)
        return self._object

    def copy(self) -> Object:
        """A private decoded object."""
        return orjson.loads(self.body)  # type: ignore[no-any-return]


class CachedEvent:
    """One change. `entry` is None for a deletion, `previous` None for a creation. Its bytes are built once a type."""

    __slots__ = ("_lines", "at_s", "entry", "previous", "revision")

    def __init__(self, revision: int, entry: Entry | None, previous: Entry | None, at_s: float = 0.0) -> None:
        self.revision = revision
        self.entry = entry
        self.previous = previous
        self.at_s = at_s
        self._lines: dict[str, bytes] | None = None

    @property
    def type(self) -> str:
        if self.entry is None:
            return DELETED
        return ADDED if self.previous is None else MODIFIED

    def body(self, type: str) -> bytes:
        """The object as an event of this type shows it: a deletion shows the last state, at its own revision."""
        if type != DELETED:
            assert self.entry is not None
            return self.entry.body
        assert self.previous is not None
        return revised(self.previous.body, self.previous.revision, self.revision)

    def line(self, type: str) -> bytes:
        """The watch event as it travels."""
        if self._lines is None:
            self._lines = {}
        line = self._lines.get(type)
        if line is None:
            line = self._lines[type] = event_line(type, self.body(type))
        return line

    def forget_lines(self) -> None:
        """Everyone concerned has them: the history keeps only the objects."""
        self._lines = None


def event_line(type: str, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type.encode(), body)
