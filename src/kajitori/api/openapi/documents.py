"""Whole OpenAPI documents: version 3 a group and version, version 2 everything.

They say of answers what this server gives: upstream's name protobuf among the forms, which is read here and never
written (decision 6).
"""

from collections.abc import Iterable
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.openapi import resource_metrics
from kajitori.api.openapi.custom_schemas import custom_definitions
from kajitori.api.openapi.general_paths import general_paths, version_paths
from kajitori.api.openapi.operations import Operation, Path
from kajitori.api.openapi.parameters import Parameter
from kajitori.api.openapi.paths import paths_of
from kajitori.api.openapi.schemas import LIST_META, OBJECT_META, V2, V3, published, reachable
from kajitori.api.openapi.shared_parameters import share_parameters
from kajitori.api.resource import Resource
from kajitori.api.schema.definitions import documented_definitions

_WORDS = {"200": "OK", "201": "Created", "202": "Accepted"}
_UNAUTHORIZED = {"401": {"description": "Unauthorized"}}
_TOKEN = {"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}
_TEXT = {"type": "string"}


_ELSEWHERE = ("admission.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "imagepolicy.k8s.io")
"""Groups that custom kinds' documents do not know: those of other servers than upstream's main one."""
_CUSTOM_INFO = {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}


def _info(version: str) -> Object:
    """What is documented is a release, not a build: `1.36`."""
    return {"title": "Kubernetes", "version": ".".join(version.lstrip("v").split(".")[:2])}


def _definitions(resources: list[Resource], paths: Iterable[Path], prefix: str) -> dict[str, Object]:
    """What the operations speak of, and what that consists of."""
    custom: dict[str, Object] = {}
    for resource in resources:
        if resource.schema is not None:
            custom |= custom_definitions(resource, prefix)
    spoken_of = {n for path in paths for operation in path.operations for n in (operation.takes, operation.gives)}
    if custom:
        spoken_of |= {OBJECT_META, LIST_META}
    known = documented_definitions() | resource_metrics.definitions()
    found = {name: published(name, known[name], prefix) for name in reachable(sorted(spoken_of), known)}
    return dict(sorted((found | custom).items()))


def paths_of_version(resources: Iterable[Resource]) -> list[Path]:
    """Those of kinds, and of the lists of resources, which custom kinds do not have."""
    kinds = list(resources)
    versions = {(kind.group, kind.version) for kind in kinds if kind.schema is None}
    return [*version_paths(sorted(versions)), *paths_of(kinds)]


def version_3(resources: Iterable[Resource], version: str) -> Object:
    """The document of the kinds of one group and version."""
    kinds = list(resources)
    return _version_3(paths_of_version(kinds), kinds, version)


def general_version_3(path: Path, version: str) -> Object:
    """The document of a path that belongs to no kind."""
    return _version_3([path], [], version)


def _version_3(paths: list[Path], kinds: list[Resource], version: str) -> Object:
    schemas = _definitions(kinds, paths, V3)
    for schema in schemas.values():
        _tell_own_version(schema, kinds)
    items = {path.path: _path_item(path, schemas) for path in paths}
    components: Object = {"schemas": schemas} if schemas else {}
    custom = _are_custom(kinds)
    if not custom:
        components["securitySchemes"] = {"BearerToken": _TOKEN}
    info = _CUSTOM_INFO if custom else _info(version)
    return {"openapi": "3.0.0", "info": info, "paths": items, "components": components}


def _are_custom(kinds: list[Resource]) -> bool:
    return bool(kinds) and all(kind.schema is not None for kind in kinds)


def _tell_own_version(schema: Object, kinds: list[Resource]) -> None:
    """DeleteOptions and WatchEvent belong to every group and version. A document speaks of its own; custom kinds, which
    are in none of the list, of all those that are served where they are."""
    key = "x-kubernetes-group-version-kind"
    if len(schema.get(key, ())) < 2:
        return
    own = {(kind.group, kind.version) for kind in kinds if kind.schema is None} | {("", "v1")}
    if _are_custom(kinds):
        schema[key] = [gvk for gvk in schema[key] if gvk["group"] not in _ELSEWHERE]
    else:
        schema[key] = [gvk for gvk in schema[key] if (gvk["group"], gvk["version"]) in own]


def _parameter(parameter: Parameter) -> Object:
    found: Object = {"name": parameter.name, "in": parameter.place, "description": parameter.description}
    return found | ({"required": True} if parameter.place == "path" else {})


def _parameter_3(parameter: Parameter) -> Object:
    return _parameter(parameter) | {"schema": {"type": parameter.type, "uniqueItems": True}}


def _path_item(path: Path, schemas: dict[str, Object]) -> Object:
    item: Object = {operation.method: _operation(operation, schemas) for operation in path.operations}
    return item | ({"parameters": [_parameter_3(each) for each in path.parameters]} if path.parameters else {})


def _operation(operation: Operation, schemas: dict[str, Object]) -> Object:
    given: Object = {"$ref": V3 + operation.gives} if operation.gives in schemas else _TEXT
    content = {name: {"schema": given} for name in operation.produces}
    answers: Object = {code: {"description": _WORDS[code], "content": content} for code in operation.codes}
    document = _common(operation)
    if operation.parameters:
        document["parameters"] = [_parameter_3(parameter) for parameter in operation.parameters]
    if operation.takes:
        taken: Object = {"$ref": V3 + operation.takes} if operation.takes in schemas else {"type": "object"}
        document["requestBody"] = {"content": {name: {"schema": taken} for name in operation.consumes}}
        if operation.takes_required:
            document["requestBody"]["required"] = True
    return document | {"responses": answers | _UNAUTHORIZED} | _extensions(operation)


def _common(operation: Operation) -> Object:
    return {"tags": [operation.tag], "description": operation.description, "operationId": operation.id}


def _extensions(operation: Operation) -> Object:
    if not operation.action:
        return {}
    return {"x-kubernetes-action": operation.action, "x-kubernetes-group-version-kind": operation.gvk}


def version_2(resources: Iterable[Resource], version: str) -> Object:
    """Swagger 2.0 of all kinds."""
    kinds = list(resources)
    general = general_paths({kind.group for kind in kinds if kind.schema is None})
    paths = sorted((*general.values(), *paths_of_version(kinds)), key=lambda path: path.path)
    definitions = _definitions(kinds, paths, V2)
    document: Object = {
        "swagger": "2.0",
        "info": _info(version),
        "paths": {path.path: _path_item_2(path, definitions) for path in paths},
        "definitions": definitions,
        "securityDefinitions": {"BearerToken": _TOKEN},
        "security": [{"BearerToken": []}],
    }
    document["parameters"] = share_parameters(document["paths"])
    return document


def _parameter_2(parameter: Parameter) -> Object:
    return _parameter(parameter) | {"type": parameter.type, "uniqueItems": True}


def _path_item_2(path: Path, definitions: dict[str, Object]) -> Object:
    item: Object = {operation.method: _operation_2(operation, definitions) for operation in path.operations}
    return item | ({"parameters": [_parameter_2(each) for each in path.parameters]} if path.parameters else {})


def _operation_2(operation: Operation, definitions: dict[str, Object]) -> Object:
    schema: Object = {"$ref": V2 + operation.gives} if operation.gives in definitions else _TEXT
    parameters: list[Any] = [_parameter_2(parameter) for parameter in operation.parameters]
    if operation.takes:
        taken: Object = {"$ref": V2 + operation.takes} if operation.takes in definitions else {"type": "object"}
        body: Object = {"name": "body", "in": "body", "schema": taken}
        parameters.append(body | ({"required": True} if operation.takes_required else {}))
        parameters.sort(key=lambda parameter: (parameter["name"], parameter["in"]))
    answers: Object = {code: {"description": _WORDS[code], "schema": schema} for code in operation.codes}
    document = _common(operation) | {"produces": list(operation.produces), "schemes": ["https"]}
    if operation.consumes:
        document["consumes"] = list(operation.consumes)
    if parameters:
        document["parameters"] = parameters
    return document | {"responses": answers | _UNAUTHORIZED} | _extensions(operation)
