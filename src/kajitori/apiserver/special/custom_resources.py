"""From a CustomResourceDefinition to the kinds it declares, one `Resource` for each served version. Pure.

Source: the "Custom Resource Definition" task pages and the API reference of apiextensions.k8s.io/v1.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, overload

import orjson

from kajitori.api.columns.descriptions import AGE_HELP, NAME_HELP
from kajitori.api.durations import time_since
from kajitori.api.field_errors import FieldError, escaped
from kajitori.api.go_text import go_text
from kajitori.api.meta import Object
from kajitori.api.resource import ALL_VERBS, Column, Conversion, Resource, ScalePaths, Subresource
from kajitori.api.schema import structural
from kajitori.api.schema.scalars import timestamp
from kajitori.api.warnings.extensions import custom_object_warnings
from kajitori.apiserver.discovery import version_rank
from kajitori.apiserver.special.custom_validation import CustomValidation
from kajitori.apiserver.special.json_path import compile_path
from kajitori.apiserver.special.shown_documents import Memory, Shown, ShownDocuments

_AGE: Object = {
    "name": "Age",
    "type": "date",
    "jsonPath": ".metadata.creationTimestamp",
    "description": AGE_HELP,
}
_ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_PARTS = ("get", "patch", "update")
_WEIGHS = 8
"""Bytes of a schema that can be as much work as one byte of an object."""
_COLUMN_WEIGHS = 32
"""Bytes of an object that can be as much work as a column."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """What a definition declares: the version that is stored, served or not, and all that are served."""

    stored: Resource
    served: tuple[Resource, ...]


def kinds_of(definition: Object, conversion: Conversion | None = None, memory: Shown | None = None) -> Kinds:
    """Expects a valid definition. `conversion` is its webhook, where it has one; else only apiVersion is converted.

    `memory` is shared by all kinds of a server; None makes one for these.
    """
    memory = memory if memory is not None else Memory()
    versions = definition["spec"]["versions"]
    stored_version = next(version for version in versions if version.get("storage"))
    stored = _resource(definition, stored_version, None, conversion, memory)
    served = (version for version in versions if version.get("served"))
    return Kinds(
        stored,
        tuple(stored if v is stored_version else _resource(definition, v, stored, conversion, memory) for v in served),
    )


def schemas_of(definition: Object) -> dict[str, Object]:
    """The structural schema of every version."""
    return {version["name"]: _schema(version) for version in definition["spec"]["versions"]}


def _schema(version: Object) -> Object:
    found: Object = (version.get("schema") or {}).get("openAPIV3Schema") or _ANYTHING
    return found


def _resource(
    definition: Object, version: Object, stored_as: Resource | None, conversion: Conversion | None, memory: Shown
) -> Resource:
    spec = definition["spec"]
    names = _names(definition)
    schema = _schema(version)
    parts = version.get("subresources") or {}
    leaving = definition["metadata"].get("deletionTimestamp") is not None
    own = _selectable([version])
    reader = None if conversion is not None else _reader(definition, schema, stored_as is None)
    api_version = f"{spec['group']}/{version['name']}"
    scale = _scale(parts.get("scale"))
    validation = CustomValidation(schema, scale)
    return Resource(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        namespaced=spec.get("scope") == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        # Nothing new comes while a definition goes.
        verbs=tuple(verb for verb in ALL_VERBS if verb != "create") if leaving else ALL_VERBS,
        subresources=tuple(_subresources(parts, validation)),
        columns=_Columns(version.get("additionalPrinterColumns") or [_AGE]),
        scale=scale,
        # What is stored is indexed by the fields of all versions, which name the same places unless a webhook converts.
        selectable_fields=own if stored_as is not None or conversion is not None else _selectable(spec["versions"]),
        stored_field_names={field: field for field in own},
        default=lambda obj: structural.default(schema, obj),
        validate=validation.validate,
        revalidate=_judged_by_the_change,
        validate_update=validation.revalidate,
        warnings=custom_object_warnings,
        definition=f"{'.'.join(reversed(spec['group'].split('.')))}.{version['name']}.{names['kind']}",
        schema=schema,
        stored_as=stored_as,
        to_stored=None if stored_as is None or conversion is not None else _writer(stored_as.schema or _ANYTHING),
        from_stored=reader,
        shown=ShownDocuments(names["kind"], api_version, reader, memory) if reader is not None else None,
        conversion=conversion,
        deprecation=_deprecation(spec, version),
        counts_generation=True,
        weight_bytes=len(orjson.dumps(schema)) // _WEIGHS
        + len(version.get("additionalPrinterColumns") or ()) * _COLUMN_WEIGHS,
    )


def _names(definition: Object) -> Object:
    """Those that were accepted: what is asked for may be another definition's."""
    accepted: Object = (definition.get("status") or {}).get("acceptedNames") or {}
    return accepted if accepted.get("kind") else definition["spec"]["names"]


def _reader(definition: Object, schema: Object, is_stored: bool) -> Callable[[Object], Object] | None:
    """An object as it is read: with the defaults of the version it was written in, without what this version's schema
    does not know. None where what is stored is that already: the schema has no defaults and was never another."""
    if is_stored and not structural.has_default(schema) and (definition["metadata"].get("generation") or 1) == 1:
        return None
    group, schemas = definition["spec"]["group"], schemas_of(definition)
    by_version = {f"{group}/{name}": each for name, each in schemas.items()}

    def read(obj: Object) -> Object:
        written = by_version.get(obj["apiVersion"], schema)
        structural.drop_nulls(written, obj)
        structural.default(written, obj)
        structural.prune(schema, obj)
        return obj

    return read


def _writer(schema: Object) -> Callable[[Object], Object]:
    """To the version that is stored, whose schema decides what is kept."""

    def write(obj: Object) -> Object:
        copy: Object = orjson.loads(orjson.dumps(obj))
        structural.prune(schema, copy)
        return copy

    return write


def _deprecation(spec: Object, version: Object) -> str:
    """The warning by upstream's rule: the version's own text, or one that names the newest version to use."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    rank = version_rank(version["name"])
    better = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    better = [name for name in better if version_rank(name) > rank]
    return f"{text}; use {group}/{max(better, key=version_rank)} {kind}" if better else text


def _judged_by_the_change(new: Object, old: Object) -> list[FieldError]:
    """A change of an object and one of its status are judged each in its way: by their `validate_update`."""
    return []


def _subresources(parts: Object, validation: CustomValidation) -> list[Subresource]:
    found = []
    if parts.get("status") is not None:
        found.append(Subresource(name="status", verbs=_PARTS, validate_update=validation.revalidate_status))
    if parts.get("scale") is not None:
        found.append(Subresource(name="scale", verbs=_PARTS, kind="Scale", group="autoscaling", version="v1"))
    return found


def _scale(scale: Object | None) -> ScalePaths | None:
    if scale is None:
        return None
    return ScalePaths(
        spec_replicas=scale["specReplicasPath"].lstrip("."),
        status_replicas=scale["statusReplicasPath"].lstrip("."),
        selector=(scale.get("labelSelectorPath") or "").lstrip("."),
    )


def _selectable(versions: list[Object]) -> dict[str, Callable[[Object], str]]:
    def reader(path: str) -> Callable[[Object], str]:
        find = compile_path(path)
        return lambda obj: next((go_text(value) for value in find(obj) if value is not None), "")

    fields = (field for version in versions for field in version.get("selectableFields") or ())
    return {field["jsonPath"].lstrip("."): reader(field["jsonPath"]) for field in fields}


class _Columns(Sequence[Column]):
    """Made when they are first looked at: a definition may have thousands. They end before the first whose path cannot
    be read."""

    def __init__(self, definitions: list[Object]) -> None:
        self._definitions = definitions

    @cached_property
    def _all(self) -> tuple[Column, ...]:
        name = Column(name="Name", format="name", cell=lambda obj, _: obj["metadata"]["name"], description=NAME_HELP)
        return (name, *map(_column, takewhile(_readable, self._definitions)))

    def __len__(self) -> int:
        return len(self._all)

    @overload
    def __getitem__(self, index: int) -> Column: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Column, ...]: ...
    def __getitem__(self, index: int | slice) -> Column | tuple[Column, ...]:
        return self._all[index]


_PLAIN_PATH = re.compile(r"(?:\.[\w-]+)+")


def _readable(definition: Object) -> bool:
    """Known at a glance of most paths: a definition may have thousands of columns that nobody looks at."""
    path = definition["jsonPath"]
    if _PLAIN_PATH.fullmatch(path):
        return True
    try:
        compile_path(path)
    except ValueError:
        return False
    return True


def _column(definition: Object) -> Column:
    path = definition["jsonPath"]
    kind = definition.get("type", "string")
    return Column(
        name=definition["name"],
        cell=_cell(path, kind),
        type=kind,
        format=definition.get("format", ""),
        priority=definition.get("priority", 0),
        description=definition.get("description") or f"Custom resource definition column (in JSONPath format): {path}",
    )


def _cell(path: str, kind: str) -> Callable[[Object, float], Any]:
    """Of several values only the first is shown. The path is read when the column is first looked at."""

    def cell(obj: Object, now_s: float) -> Any:
        found, show = compile_path(path)(obj), _SHOWN.get(kind)
        return show(found[0], now_s) if found and show is not None else None

    return cell


def _text(value: Any, now_s: float) -> str:
    if value is None:
        return "<no value>"
    return (
        escaped(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)) if isinstance(value, dict | list) else go_text(value)
    )


def _integer(value: Any, now_s: float) -> int | None:
    return int(value) if type(value) in (int, float) else None


def _number(value: Any, now_s: float) -> float | None:
    return value if type(value) in (int, float) else None


def _boolean(value: Any, now_s: float) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any, now_s: float) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        timestamp(value)
    except ValueError:
        return "<invalid>"
    return time_since(value, now_s)


_Show = Callable[[Any, float], Any]
_SHOWN: dict[str, _Show] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}
