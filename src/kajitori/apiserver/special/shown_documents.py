"""What became of stored documents in a version, remembered: all watchers of a change and every list share the work.

All custom kinds share one memory, so that what it takes does not grow with the number of definitions.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

import orjson

from kajitori.api.meta import Object

DOCUMENTS = 16_384
BYTES = 64 << 20
"""Of what is remembered and of what it was made from; beyond either bound the longest unused go."""

K = TypeVar("K", bound=Hashable)


class Memory(Generic[K]):
    """Asked by the event loop, and by the thread that works on large documents."""

    def __init__(self) -> None:
        self._kept: OrderedDict[K, tuple[bytes, int]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: K) -> bytes | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: K, document: bytes, size: int) -> None:
        """`size`: bytes that are held for it, those of the key included."""
        with self._lock:
            if (before := self._kept.pop(key, None)) is not None:
                self._bytes -= before[1]
            self._kept[key] = (document, size)
            self._bytes += size
            while len(self._kept) > DOCUMENTS or self._bytes > BYTES:
                self._bytes -= self._kept.popitem(last=False)[1][1]


Shown = Memory[tuple[object, str, bytes]]
"""By who converts, for which version, and what. Who converts is new with every change of a definition: it begins with
nothing, and what its predecessor left ages out."""


class ShownDocuments:
    """Calling it with a stored document gives the document of its version: mostly the same bytes."""

    def __init__(self, kind: str, api_version: str, read: Callable[[Object], Object], memory: Shown) -> None:
        self._kind = kind
        self._api_version = api_version
        self._read = read
        self._memory = memory

    def __call__(self, body: bytes) -> bytes:
        key = (self, self._api_version, body)
        known = self._memory.get(key)
        if known is None:
            obj = self._read(orjson.loads(body))
            obj["kind"], obj["apiVersion"] = self._kind, self._api_version
            known = orjson.dumps(obj)
            if known == body:
                known = body
            self._memory.put(key, known, len(body) if known is body else len(body) + len(known))
        return known
