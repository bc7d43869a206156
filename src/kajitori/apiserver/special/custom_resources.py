"""From a CustomResourceDefinition to the kinds it declares, one `Resource` for each served version. Pure.

Source: the "Custom Resource Definition" task pages and the API reference of apiextensions.k8s.io/v1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from kajitori.api.durations import time_since
from kajitori.api.meta import Object
from kajitori.api.resource import ALL_VERBS, Column, Conversion, Resource, ScalePaths, Subresource
from kajitori.api.schema import structural
from kajitori.api.warnings.extensions import custom_object_warnings
from kajitori.apiserver.discovery import version_rank
from kajitori.apiserver.special.custom_validation import CustomValidation
from kajitori.apiserver.special.json_path import compile_path
from kajitori.apiserver.special.shown_documents import Memory, Shown, ShownDocuments

_NAME_HELP = "Name must be unique within a namespace."
_AGE: Object = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# What a column of a type may show.
_TYPES: dict[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float), "boolean": (bool,)}
_PARTS = ("get", "patch", "update")
_WEIGHS = 8
"""Bytes of a schema that can be as much work as one byte of an object."""


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
    validation = CustomValidation(schema)
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
        subresources=tuple(_subresources(parts)),
        columns=_columns(version.get("additionalPrinterColumns") or [_AGE]),
        scale=_scale(parts.get("scale")),
        # What is stored is indexed by the fields of all versions, which name the same places unless a webhook converts.
        selectable_fields=own if stored_as is not None or conversion is not None else _selectable(spec["versions"]),
        stored_field_names={field: field for field in own},
        default=lambda obj: structural.default(schema, obj),
        validate=validation.validate,
        revalidate=validation.revalidate,
        warnings=custom_object_warnings,
        definition=f"{'.'.join(reversed(spec['group'].split('.')))}.{version['name']}.{names['kind']}",
        schema=schema,
        stored_as=stored_as,
        from_stored=reader,
        shown=ShownDocuments(names["kind"], api_version, reader, memory) if reader is not None else None,
        conversion=conversion,
        deprecation=_deprecation(spec, version),
        counts_generation=True,
        weight_bytes=len(orjson.dumps(schema)) // _WEIGHS,
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
        structural.default(by_version.get(obj["apiVersion"], schema), obj)
        structural.prune(schema, obj)
        return obj

    return read


def _deprecation(spec: Object, version: Object) -> str:
    """The warning by upstream's rule: the version's own text, or one that names the newest version to use."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning") is not None:
        return str(version["deprecationWarning"])
    group, kind = spec["group"], spec["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    better = [v["name"] for v in spec["versions"] if v.get("served") and not v.get("deprecated")]
    return f"{text}; use {group}/{max(better, key=version_rank)} {kind}" if better else text


def _subresources(parts: Object) -> list[Subresource]:
    found = []
    if parts.get("status") is not None:
        found.append(Subresource(name="status", verbs=_PARTS))
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
        return lambda obj: next((_plain(value) for value in find(obj)), "")

    fields = (field for version in versions for field in version.get("selectableFields") or ())
    return {field["jsonPath"].lstrip("."): reader(field["jsonPath"]) for field in fields}


def _columns(definitions: list[Object]) -> tuple[Column, ...]:
    name = Column(name="Name", format="name", cell=lambda obj, _: obj["metadata"]["name"], description=_NAME_HELP)
    return (name, *(_column(definition) for definition in definitions))


def _finder(path: str) -> Callable[[Any], list[Any]]:
    """Read when first used: a definition may have thousands of columns that nobody looks at."""
    return lambda document: compile_path(path)(document)


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
    find = _finder(path)

    def cell(obj: Object, now_s: float) -> Any:
        found = find(obj)
        if not found or found[0] is None:
            return None
        value = found[0]
        if kind == "date":
            return time_since(value, now_s) if isinstance(value, str) else "<unknown>"
        if kind == "string":
            return ",".join(_plain(each) for each in found) if len(found) > 1 else _plain(value)
        return value if type(value) in _TYPES.get(kind, ()) else None

    return cell


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else orjson.dumps(value).decode()
