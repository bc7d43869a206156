"""What an expression may speak of: variables, functions, types."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kajitori.api.cel.functions import Library, Overload
from kajitori.api.cel.types import SIMPLE, Declared, Objects, Type

_WRITTEN = {
    **{name: each for name, each in SIMPLE.items() if name not in ("dyn", "null", "timestamp", "duration")},
    "dyn": SIMPLE["dyn"],
    "null_type": SIMPLE["null"],
    "google.protobuf.Timestamp": SIMPLE["timestamp"],
    "google.protobuf.Duration": SIMPLE["duration"],
    "list": Type("list"),
    "map": Type("map"),
    "type": Type("type", "", (SIMPLE["dyn"],)),
    "optional_type": Type("opaque", "optional_type"),
}


@dataclass(frozen=True, slots=True)
class Environment:
    """Made once and used for many expressions."""

    variables: Mapping[str, Type]
    functions: Mapping[str, tuple[Overload, ...]]
    types: Mapping[str, Type]
    objects: Objects = field(default_factory=Objects)
    declared: Mapping[str, Declared] = field(default_factory=dict)
    binding: bool = False
    """Whether expressions may name values with `cel.bind`."""

    @staticmethod
    def of(library: Library, variables: Mapping[str, Type | Declared], *more: Declared) -> "Environment":
        """`more` are object types that expressions may construct."""
        declared = {name: each for name, each in variables.items() if isinstance(each, Declared)}
        kinds = {name: each.type if isinstance(each, Declared) else each for name, each in variables.items()}
        objects = Objects(*declared.values(), *more)
        return Environment(kinds, library.functions, {**_WRITTEN, **library.types}, objects, declared)

    def type_named(self, name: str) -> Type | None:
        found = self.types.get(name)
        if found is None and (declared := self.objects.find(name)) is not None:
            return declared.type
        return found
