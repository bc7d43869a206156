"""Field validation (`fieldValidation=Strict|Warn|Ignore`): which keys a document repeats, and how that is told."""

import json
from collections.abc import Iterator
from typing import Any

import orjson

from kajitori.api.errors import BadRequest
from kajitori.api.resource import Resource
from kajitori.api.schema.decode_errors import Place, path_of, refuse


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as its pairs, repeated keys included."""


def duplicate_fields(body: bytes, parsed: Any = None) -> list[str]:
    """Paths of the keys that occur twice in one object. `parsed` is the decoded body, when it is at hand.

    A body that is as long as its own compact form has no key twice: the usual case, decided in microseconds.
    """
    document = orjson.loads(body) if parsed is None else parsed
    if len(orjson.dumps(document)) >= len(body.strip()):
        return []
    return list(_duplicates(json.loads(body, object_pairs_hook=_Pairs), None))


def _duplicates(value: Any, at: Place | None) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        told: set[str] = set()
        for key, item in value:
            place = (at, key, "")
            if key in seen and key not in told:
                told.add(key)
                yield path_of(place)
            seen.add(key)
            yield from _duplicates(item, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicates(item, (at, index, ""))


def strict_messages(unknown: list[str], duplicates: list[str]) -> list[str]:
    """What a Warning header says of each, and what the strict error joins."""
    return [
        *(f'duplicate field "{path}"' for path in duplicates),
        *(f'unknown field "{path}"' for path in unknown),
    ]


def strict_error(resource: Resource, unknown: list[str], duplicates: list[str]) -> BadRequest:
    why = f"strict decoding error: {', '.join(strict_messages(unknown, duplicates))}"
    return refuse(resource.kind, resource.version, why)
