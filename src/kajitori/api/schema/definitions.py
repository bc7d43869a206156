"""The OpenAPI definitions of v1.36 as the package kubernetes-validate ships them, and what Go's types add to them.

Read on first use: 15 ms and about 3 MB without the descriptions, which only `documented_definitions` keeps.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from kajitori.api.meta import Object

VERSION = "v1.36.0"
_REFERENCE = "#/$defs/"
_CHILDREN = ("items", "additionalProperties")


def _source() -> Path:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package kubernetes-validate is missing: install it, the API's schemas come from it")
    return Path(spec.submodule_search_locations[0], "kubernetes-json-schema", f"{VERSION}-local", "_definitions.json")


def _undocumented(schema: Object) -> None:
    schema.pop("description", None)
    for child in schema.get("properties", {}).values():
        _undocumented(child)
    for key in _CHILDREN:
        if isinstance(schema.get(key), dict):
            _undocumented(schema[key])


def documented_definitions() -> dict[str, Object]:
    """With descriptions; not kept, because only `kubectl explain` asks for them."""
    document: dict[str, dict[str, Object]] = orjson.loads(_source().read_bytes())
    return document["$defs"]


@lru_cache(maxsize=1)
def definitions() -> dict[str, Object]:
    """Schemas by name, such as `io.k8s.api.apps.v1.Deployment`. Shared: read only."""
    found = documented_definitions()
    for schema in found.values():
        _undocumented(schema)
    return found


@lru_cache(maxsize=1)
def go_shapes() -> dict[str, dict[str, Any]]:
    """What OpenAPI does not say of upstream's types: how Go's encoder writes an empty value, and what Go calls a type
    in a message about it. Release 1.36; for another, read the struct tags of `k8s.io/api` and `k8s.io/apimachinery`.

    By definition of the OpenAPI document:
    - `types`: field -> Go type, where it does not follow from the schema (`"restartPolicy": "v1.RestartPolicy"`);
    - `embedded`: field -> names of the embedded structs on the way to it;
    - `keep`: optional fields whose empty value is written (pointers);
    - `always`: field -> what is written when it is absent (no omitempty, or a struct);
    - `omitzero`: struct fields that are left out when they are empty.
    """
    shapes: dict[str, dict[str, Any]] = orjson.loads(Path(__file__).with_name("go_shapes.json").read_bytes())
    return shapes


def reference(schema: Object) -> str:
    """The definition that a schema refers to, or ""."""
    return str(schema.get("$ref", "")).removeprefix(_REFERENCE)


def type_of(schema: Object) -> str:
    """The one type besides null, or ""."""
    kind = schema.get("type", "")
    return str(kind[0] if isinstance(kind, list) else kind)


@lru_cache(maxsize=1)
def _by_kind() -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for name, schema in definitions().items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            found.setdefault((gvk.get("group", ""), gvk["version"], gvk["kind"]), name)
    return found


def definition_of(group: str, version: str, kind: str) -> str:
    """The name of a kind's definition (`Scale`, `Eviction` and lists included), or ""."""
    return _by_kind().get((group, version, kind), "")
