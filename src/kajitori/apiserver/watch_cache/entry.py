"""One object and one change of it, as the cache keeps them."""

from collections.abc import Mapping

import orjson

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.documents import revised, with_revision

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Entry:
    """`body` is the stored document with its resourceVersion; `labels` and `fields` are what selectors look at."""

    __slots__ = ("_object", "body", "fields", "labels", "name", "namespace", "revision")

    def __init__(self, namespace: str, name: str, value: bytes, revision: int) -> None:
        self.namespace = namespace
        self.name = name
        self.revision = revision
        self.body = with_revision(value, revision)
        self.labels: Mapping[str, str] = {}
        self.fields: Mapping[str, str] = {}
        self._object: Object | None = None

    def index(self, resource: Resource | None, *, keep: bool) -> None:
        """Read labels and selectable fields; `keep` the decoded object for those who will ask for it."""
        document: Object = self._object if self._object is not None else orjson.loads(self.body)
        self.labels = document["metadata"].get("labels") or {}
        fields = {"metadata.name": self.name, "metadata.namespace": self.namespace}
        if resource is not None:
            for path, read in resource.selectable_fields.items():
                fields[path] = read(document)
        self.fields = fields
        if keep:
            self._object = document

    @property
    def object(self) -> Object:
        """The decoded object, shared: never change it."""
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
        self._lines: dict[str, bytes] = {}

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
        line = self._lines.get(type)
        if line is None:
            line = self._lines[type] = event_line(type, self.body(type))
        return line


def event_line(type: str, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (type.encode(), body)
