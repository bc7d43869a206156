"""Work that is done once for equal documents: the pods of one template are equal, and so are most updates of a status.

Documents are known by their bytes. Everything here is bounded, and longer documents are worked on anew each time:
anybody can send them, and they must not fill the memory. The oldest makes room.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from hashlib import blake2b
from typing import TypeVar

import orjson

from kajitori.api.meta import Object

Found = TypeVar("Found")
K = TypeVar("K")
V = TypeVar("V")


def keep(kept: dict[K, V], key: K, value: V, entries_max: int) -> None:
    """Put into a dictionary from which the oldest makes room."""
    if len(kept) >= entries_max:
        with suppress(RuntimeError, KeyError):  # another thread made room in the same moment
            del kept[next(iter(kept))]
    kept[key] = value


def remembering_valid(
    entries_max: int, bytes_max: int
) -> Callable[[Callable[[Object], list[Found]]], Callable[[Object], list[Found]]]:
    """For a check that depends on its document alone. Documents of which it found nothing (no error, no warning) are
    known by a digest that nobody can forge."""

    def decorate(check: Callable[[Object], list[Found]]) -> Callable[[Object], list[Found]]:
        valid: dict[bytes, None] = {}

        @wraps(check)
        def found_in(document: Object) -> list[Found]:
            encoded = orjson.dumps(document)
            if len(encoded) > bytes_max:
                return check(document)
            digest = blake2b(encoded, digest_size=20).digest()
            if digest in valid:
                return []
            found = check(document)
            if not found:
                keep(valid, digest, None, entries_max)
            return found

        return found_in

    return decorate


def remembering_outcome(
    entries_max: int, bytes_max: int
) -> Callable[[Callable[[Object], None]], Callable[[Object], Object]]:
    """For a function that changes its document in place and looks at nothing else. The new one returns the outcome,
    which is the caller's own and may be another document than the one that was given."""

    def decorate(change: Callable[[Object], None]) -> Callable[[Object], Object]:
        outcomes: dict[bytes, bytes] = {}

        @wraps(change)
        def outcome_of(document: Object) -> Object:
            encoded = orjson.dumps(document)
            known = outcomes.get(encoded)
            if known is not None:
                outcome: Object = orjson.loads(known)
                return outcome
            change(document)
            if len(encoded) <= bytes_max:
                keep(outcomes, encoded, orjson.dumps(document), entries_max)
            return document

        return outcome_of

    return decorate
