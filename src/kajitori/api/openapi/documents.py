"""Whole OpenAPI documents: version 3 a group and version, version 2 everything."""

from collections.abc import Iterable
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.openapi.paths import IN_PATH, PARAMETERS, Operation, Path, paths_of
from kajitori.api.openapi.schemas import V2, V3, custom_definitions, definition_name, list_name, published, reachable
from kajitori.api.resource import Resource
from kajitori.api.schema.definitions import definition_of, documented_definitions

_ANSWERS = {"post": ("200", "201", "202"), "put": ("200", "201"), "patch": ("200", "201"), "delete": ("200", "202")}
_WORDS = {"200": "OK", "201": "Created", "202": "Accepted", "401": "Unauthorized"}
_MEDIA = ("application/json", "application/yaml")
_COMMON = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta",
    "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Patch",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
)


def _info(version: str) -> Object:
    return {"title": "Kubernetes", "version": version}


def _definitions(resources: list[Resource], prefix: str) -> dict[str, Object]:
    known = documented_definitions()
    wanted = [*_COMMON]
    for resource in resources:
        if resource.definition:
            wanted += [definition_name(resource), list_name(resource)]
        for subresource in resource.subresources:
            if subresource.kind:
                wanted.append(
                    definition_of(subresource.group, subresource.version or resource.version, subresource.kind)
                )
    found = {name: published(name, known[name], prefix) for name in reachable(wanted, known)}
    for resource in resources:
        if resource.schema is not None:
            found |= custom_definitions(resource, prefix)
    return dict(sorted(found.items()))


def version_3(resources: Iterable[Resource], version: str) -> Object:
    """The document of the kinds of one group and version."""
    kinds = list(resources)
    schemas = _definitions(kinds, V3)
    paths = {f"{path.path}": _path_item(path, schemas) for path in paths_of(kinds)}
    return {"openapi": "3.0.0", "info": _info(version), "paths": paths, "components": {"schemas": schemas}}


def _parameter(name: str) -> Object:
    kind, description = PARAMETERS[name]
    place = "path" if name in IN_PATH else "query"
    found: Object = {"name": name, "in": place, "description": description}
    if place == "path":
        found["required"] = True
    return found | {"schema": {"type": kind, "uniqueItems": True}}


def _content(definition: str, media: Iterable[str], schemas: dict[str, Object]) -> Object:
    schema: Object = {"$ref": V3 + definition} if definition in schemas else {"type": "string"}
    return {name: {"schema": schema} for name in media}


def _path_item(path: Path, schemas: dict[str, Object]) -> Object:
    item: Object = {operation.method: _operation(operation, schemas) for operation in path.operations}
    item["parameters"] = [_parameter(name) for name in path.parameters]
    return item


def _operation(operation: Operation, schemas: dict[str, Object]) -> Object:
    content = _content(operation.gives, _MEDIA, schemas)
    answers: Object = {
        code: {"description": _WORDS[code], "content": content} for code in _ANSWERS.get(operation.method, ("200",))
    }
    document: Object = {
        "description": operation.description,
        "operationId": operation.id,
        "parameters": [_parameter(name) for name in operation.queries],
        "responses": answers | {"401": {"description": _WORDS["401"]}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.gvk,
    }
    if operation.takes:
        document["requestBody"] = {"content": _content(operation.takes, operation.media, schemas)}
        if operation.action not in ("delete", "deletecollection"):
            document["requestBody"]["required"] = True
    return document


def version_2(resources: Iterable[Resource], version: str) -> Object:
    """Swagger 2.0 of all kinds."""
    kinds = list(resources)
    definitions = _definitions(kinds, V2)
    paths = {path.path: _path_item_2(path, definitions) for path in paths_of(kinds)}
    return {"swagger": "2.0", "info": _info(version), "paths": paths, "definitions": definitions}


def _parameter_2(name: str) -> Object:
    document = _parameter(name)
    schema: Object = document.pop("schema")
    return document | schema


def _path_item_2(path: Path, definitions: dict[str, Object]) -> Object:
    item: Object = {operation.method: _operation_2(operation, definitions) for operation in path.operations}
    item["parameters"] = [_parameter_2(name) for name in path.parameters]
    return item


def _operation_2(operation: Operation, definitions: dict[str, Object]) -> Object:
    schema: Object = {"$ref": V2 + operation.gives} if operation.gives in definitions else {"type": "string"}
    parameters: list[Any] = [_parameter_2(name) for name in operation.queries]
    if operation.takes:
        body: Object = {"name": "body", "in": "body", "schema": {"$ref": V2 + operation.takes}}
        required = operation.action not in ("delete", "deletecollection")
        parameters.insert(0, body | ({"required": True} if required else {}))
    codes = _ANSWERS.get(operation.method, ("200",))
    answers: Object = {code: {"description": _WORDS[code], "schema": schema} for code in codes}
    return {
        "description": operation.description,
        "operationId": operation.id,
        "consumes": list(operation.media if operation.action == "patch" else ("*/*",)),
        "produces": list(_MEDIA),
        "parameters": parameters,
        "responses": answers | {"401": {"description": _WORDS["401"]}},
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": operation.gvk,
    }
