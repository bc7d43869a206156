"""Events that are larger than they may be: without the objects that they show, or left out. Pure.

Source: the API server's reference, `--audit-log-truncate-*` and `--audit-webhook-truncate-*`. Sizes are bytes of JSON.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from kajitori.api.meta import Object

_OBJECTS = ("requestObject", "responseObject")
_MARK = {"audit.k8s.io/truncated": "true"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Zero bytes are no limit."""

    event_bytes: int = 0
    list_bytes: int = 0

    def fit(self, document: Object) -> Object | None:
        """The event as it may be kept; None where it is too large even without its objects."""
        if not self.event_bytes or _size(document) <= self.event_bytes:
            return document
        small = {key: value for key, value in document.items() if key not in _OBJECTS}
        small["annotations"] = {**small.get("annotations", {}), **_MARK}
        return small if _size(small) <= self.event_bytes else None

    def lists(self, documents: Sequence[Object]) -> Iterator[list[Object]]:
        """In as few lists as may be sent."""
        some: list[Object] = []
        bytes_so_far = 0
        for document in documents:
            size = _size(document) if self.list_bytes else 0
            if some and self.list_bytes and bytes_so_far + size > self.list_bytes:
                yield some
                some, bytes_so_far = [], 0
            some.append(document)
            bytes_so_far += size
        if some:
            yield some


NO_LIMITS = Limits()
TOO_LARGE = "they are too large even without the objects that they show"


def _size(document: Object) -> int:
    return len(orjson.dumps(document))
