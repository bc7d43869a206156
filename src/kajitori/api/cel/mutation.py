"""The objects that mutating policies construct: `Object{spec: Object.spec{...}}` and `JSONPatch{op: ..., path: ...}`.

Both become a StructValue, a dict that knows its name. Without a schema, fields of an Object have any type.
"""

from collections.abc import Iterator
from typing import Any

from kajitori.api.cel.types import DYN, STRING, Declared, Field, Type
from kajitori.api.cel.values import StructValue

OBJECT, JSON_PATCH = Type("object", "Object"), Type("object", "JSONPatch")
MUTATION_TYPES = (
    Declared(OBJECT, open=True),
    Declared(
        JSON_PATCH,
        fields={
            **{name: Field(Declared(STRING), name) for name in ("op", "path", "from")},
            "value": Field(Declared(DYN), "value"),
        },
    ),
)


def misnamed(value: Any, path: str = "Object") -> Iterator[str]:
    """What is wrong with objects that stand where their name does not say: an `Object.status` under `spec`."""
    if isinstance(value, StructValue):
        if value.name != path:
            yield (
                f'unexpected type name "{value.name}", expected "{path}", which matches field name path from root '
                "Object type"
            )
        for name, field in value.items():
            yield from misnamed(field, f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from misnamed(each, path)
    elif isinstance(value, dict):
        for each in value.values():
            yield from misnamed(each, path)
