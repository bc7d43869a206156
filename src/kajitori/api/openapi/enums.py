"""Which words a field of a built-in kind knows: `enums.json`, by definition and field, as v1.36 publishes them.

They are published and no more: what a value may be is the validation's to say, in its own words.
"""

from functools import cache
from pathlib import Path

import orjson

from kajitori.api.meta import Object


def with_enums(name: str, document: Object) -> Object:
    """The published definition with the words of its fields; those of a list or a map are said of what is in it.
    Version 2 of `kubectl explain` shows them from the description alone."""
    for field, words in known().get(name, {}).items():
        schema = document["properties"].get(field)
        if schema is not None:
            inner = schema.get("items") or schema.get("additionalProperties")
            (inner or schema)["enum"] = words
            if not inner:
                listed = "\n".join(f' - `"{word}"`' for word in words)
                schema["description"] = f"{schema.get('description', '')}\n\nPossible enum values:\n{listed}".lstrip()
    return document


@cache
def known() -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = orjson.loads(Path(__file__).with_name("enums.json").read_bytes())
    return found
