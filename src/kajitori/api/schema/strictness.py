"""Field validation (`fieldValidation=Strict|Warn|Ignore`): which keys a document repeats, and how that is told."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson

from kajitori.api.errors import BadRequest
from kajitori.api.resource import Resource
from kajitori.api.schema.decode_errors import Place, path_of, refuse


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, repeated keys included."""


def duplicate_fields(body: bytes, parsed: Any = None) -> list[str]:
    """Paths of the keys that occur twice in one object. `parsed` is the decoded body, when it is at hand.

    Most bodies have no key twice, which takes microseconds to tell by comparing them with their own compact form.
    """
    document = orjson.loads(body) if parsed is None else parsed
    if _as_many_keys(body, orjson.dumps(document)):
        return []
    try:
        pairs = json.loads(body, object_pairs_hook=_Pairs)
    except ValueError:
        return []  # YAML, which was sent without a Content-Type
    repeated = (path for path, again in _keys(pairs, None) if again)
    return list(dict.fromkeys(repeated))


_LOOSE_COLON = re.compile(rb'"[ \t\r\n]+:')


def _as_many_keys(body: bytes, compact: bytes) -> bool:
    """Whether no key was lost on the way from a body to its compact form. False when that is not easily told.

    Where every key is written `"key":`, the texts `":` are the keys and the quoted quotes inside strings (`\\":`), of
    which no string of the compact form has more or fewer than in the body, unless a quote was written `\\u0022`.
    """
    if b"\\u0022" in body or _LOOSE_COLON.search(body):
        return False
    return body.count(b'":') == compact.count(b'":')


def _keys(value: Any, at: Place | None, closed: Collection[str] = ()) -> Iterator[tuple[str, bool]]:
    """The path of each key as the document goes on, and whether its object has had that key before. Nothing is told of
    what is inside of the `closed` ones."""
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            place = (at, key, "")
            path = path_of(place)
            yield path, key in seen
            seen.add(key)
            if path not in closed:
                yield from _keys(item, place, closed)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _keys(item, (at, index, ""), closed)


def strict_messages(unknown: Sequence[str], duplicates: Sequence[str], typed_body: bytes = b"") -> list[str]:
    """What a Warning header says of each, and what the strict error joins.

    A built-in kind is read key by key, so its complaints stand in the order of `typed_body`, the document; of a
    custom resource the repeated keys are seen first, and the unknown ones when it is pruned.
    """
    if unknown and duplicates and typed_body:
        not_known = set(unknown)
        met = [
            _unknown(path) if path in not_known else _duplicate(path)
            for path, again in _keys(json.loads(typed_body, object_pairs_hook=_Pairs), None, not_known)
            if again or path in not_known
        ]
        return list(dict.fromkeys(met))
    return [*map(_duplicate, duplicates), *map(_unknown, unknown)]


_OPERATION = frozenset(("op", "path", "from", "value"))


def patch_messages(body: bytes, document: Any) -> list[str]:
    """What is told of a patch itself: keys that it repeats, and those of JSON patch's operations that say nothing."""
    duplicates = duplicate_fields(body, document)
    if not isinstance(document, list):
        return strict_messages([], duplicates)
    unknown = [f"[{index}].{key}" for index, each in enumerate(document) for key in each if key not in _OPERATION]
    return [f"json patch {message}" for message in strict_messages(unknown, duplicates, body)]


def _duplicate(path: str) -> str:
    return f'duplicate field "{path}"'


def _unknown(path: str) -> str:
    return f'unknown field "{path}"'


def strict_error(resource: Resource, messages: list[str]) -> BadRequest:
    return refuse(resource.kind, resource.version, f"strict decoding error: {', '.join(messages)}")
