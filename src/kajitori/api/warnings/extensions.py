"""Definitions and their objects, admission's configuration, drivers, secrets, accounts."""

from collections.abc import Iterator
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.schema.string_formats import known_format
from kajitori.api.selectors import label_key_errors

_STATIC = ".static.k8s.io"
_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_WRITERS = "to avoid accidental conflicts with other finalizer writers"
_NESTED = ("items", "additionalProperties", "additionalItems", "not")
_LISTED = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties", "definitions")


def definition_warnings(new: Object, old: Object | None) -> list[str]:
    """Of a CustomResourceDefinition: formats that mean nothing here, once they are new."""
    before = set(_unknown_formats(old)) if old is not None else set()
    return [f'unrecognized format "{form}"' for form in _unknown_formats(new) if form not in before]


def _unknown_formats(definition: Object) -> Iterator[str]:
    for version in definition["spec"].get("versions") or ():
        yield from _formats((version.get("schema") or {}).get("openAPIV3Schema"))


def _formats(schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if (form := schema.get("format")) and not known_format(schema):
        yield form
    for key in _NESTED:
        yield from _formats(schema.get(key))
    for key in _LISTED:
        for part in schema.get(key) or ():
            yield from _formats(part)
    for key in _NAMED:
        for part in (schema.get(key) or {}).values():
            yield from _formats(part)


def custom_object_warnings(new: Object, old: Object | None) -> list[str]:
    """Of names of finalizers that somebody else may have chosen too."""
    finalizers = new["metadata"].get("finalizers")
    if not finalizers:
        return []
    had = old["metadata"].get("finalizers") or () if old is not None else ()
    found = []
    for name in sorted(set(finalizers).difference(had)):
        at = f'metadata.finalizers: "{name}"'
        found += [f"{at}: {problem}" for problem in label_key_errors(name)]
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            path = " including a path (/)" if "." in name else ""
            found.append(f"{at}: prefer a domain-qualified finalizer name{path} {_WRITERS}")
    return found


def static_name_warnings(new: Object, old: Object | None) -> list[str]:
    """Of what admission is configured by."""
    if not (new["metadata"].get("name") or "").endswith(_STATIC):
        return []
    return [
        f'metadata.name: names ending with "{_STATIC}" are reserved for static manifest-based configurations and '
        "cannot be managed via the API"
    ]


def resource_slice_warnings(new: Object, old: Object | None) -> list[str]:
    driver = (new.get("spec") or {}).get("driver") or ""
    if driver == driver.lower():
        return []
    return [f'spec.driver: driver names should be lowercase; "{driver}" contains uppercase characters']


def service_account_warnings(new: Object, old: Object | None) -> list[str]:
    had = old is not None and _MOUNTABLE in (old["metadata"].get("annotations") or ())
    if had or _MOUNTABLE not in (new["metadata"].get("annotations") or ()):
        return []
    return [
        f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to "
        "mounted secrets"
    ]


def secret_warnings(new: Object, old: Object | None) -> list[str]:
    if new.get("type") != "kubernetes.io/tls":
        return []
    from kajitori.api.warnings.key_pairs import key_pair_problem

    data = new.get("data") or {}
    problem = key_pair_problem(data.get("tls.crt") or "", data.get("tls.key") or "")
    return [problem] if problem else []
