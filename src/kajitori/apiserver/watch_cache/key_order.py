"""Keys in order, in chunks: a new key among 150,000 moves the rest of its chunk, not of the whole."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

CHUNK_MAX = 1024


class KeyOrder:
    """A sorted set of texts. Costs grow with the number of chunks, which are never empty."""

    def __init__(self) -> None:
        self._chunks: list[list[str]] = []
        self._firsts: list[str] = []
        """The first key of every chunk, by which a chunk is found."""

    def _position(self, key: str) -> int:
        """The chunk in which a key is, or would be."""
        return max(bisect_right(self._firsts, key) - 1, 0)

    def add(self, key: str) -> None:
        """A key that is not there yet."""
        if not self._chunks:
            self._chunks, self._firsts = [[key]], [key]
            return
        position = self._position(key)
        chunk = self._chunks[position]
        insort(chunk, key)
        self._firsts[position] = chunk[0]
        if len(chunk) > CHUNK_MAX:
            half = chunk[CHUNK_MAX // 2 :]
            del chunk[CHUNK_MAX // 2 :]
            self._chunks.insert(position + 1, half)
            self._firsts.insert(position + 1, half[0])

    def remove(self, key: str) -> None:
        """A key that is there."""
        position = self._position(key)
        chunk = self._chunks[position]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self._firsts[position] = chunk[0]
        else:
            del self._chunks[position], self._firsts[position]

    def between(self, start: str = "", end: str | None = None) -> Iterator[str]:
        """Keys from `start` on and before `end`. They must not change meanwhile."""
        first = self._position(start)
        for position in range(first, len(self._chunks)):
            if end is not None and self._firsts[position] >= end:
                return
            chunk = self._chunks[position]
            low = bisect_left(chunk, start) if position == first else 0
            high = len(chunk) if end is None or chunk[-1] < end else bisect_left(chunk, end)
            yield from chunk[low:high]
