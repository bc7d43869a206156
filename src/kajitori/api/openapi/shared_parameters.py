"""Parameters of a version 2 document, each said once: `{"$ref": "#/parameters/<name>-<hash>"}`.

What differs from kind to kind stays where it is, and so do `dryRun` and `fieldValidation`, because old kubectl looks
for them there.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from kajitori.api.meta import Object

_APART = {("query", "dryRun"), ("query", "fieldValidation"), ("path", "name"), ("query", "name")}
_OF_NO_KIND = "#/definitions/io.k8s.apimachinery"


def share_parameters(paths: Object) -> Object:
    """The shared parameters by name; `paths` is left with references to them."""
    shared: dict[str, Object] = {}
    for parameters in _lists(paths):
        parameters[:] = [_shared(parameter, shared) for parameter in parameters]
    return dict(sorted(shared.items()))


def _lists(paths: Object) -> Iterator[list[Any]]:
    for item in paths.values():
        for key, value in item.items():
            if key == "parameters":
                yield value
            elif "parameters" in value:
                yield value["parameters"]


def _shared(parameter: Object, shared: dict[str, Object]) -> Object:
    if (parameter["in"], parameter["name"]) in _APART:
        return parameter
    if parameter["in"] == "body" and not parameter["schema"].get("$ref", "").startswith(_OF_NO_KIND):
        return parameter
    said = hashlib.sha256(orjson.dumps(parameter, option=orjson.OPT_SORT_KEYS)).digest()
    name = f"{parameter['name']}-{base64.urlsafe_b64encode(said[:6]).decode()}"
    shared.setdefault(name, parameter)
    return {"$ref": f"#/parameters/{name}"}
