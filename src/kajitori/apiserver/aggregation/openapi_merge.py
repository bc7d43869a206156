"""OpenAPI version 2 of several servers as one document. Pure."""

from collections.abc import Iterable

import orjson

from kajitori.api.meta import Object

_POINTER = b'"#/definitions/%b"'


def merged(own: Object, others: Iterable[Object]) -> Object:
    """Our document with the others' paths and definitions. A definition that has a name of ours but says something else
    gets a name of its own."""
    document = {**own, "paths": dict(own["paths"]), "definitions": dict(own["definitions"])}
    for other in others:
        renamed = _renamed(other, document["definitions"])
        for path, item in (renamed.get("paths") or {}).items():
            document["paths"].setdefault(path, item)
        for name, definition in (renamed.get("definitions") or {}).items():
            document["definitions"].setdefault(name, definition)
    return document


def _renamed(other: Object, taken: Object) -> Object:
    definitions: Object = other.get("definitions") or {}
    clashes = [name for name, definition in definitions.items() if name in taken and taken[name] != definition]
    if not clashes:
        return other
    text = orjson.dumps(other)
    for name in clashes:
        number = 2
        while f"{name}_v{number}" in taken or f"{name}_v{number}" in definitions:
            number += 1
        old, new = name.encode(), f"{name}_v{number}".encode()
        text = text.replace(_POINTER % old, _POINTER % new).replace(b'"%b":{' % old, b'"%b":{' % new)
    found: Object = orjson.loads(text)
    return found
