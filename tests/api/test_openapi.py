import dataclasses
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from kajitori.api.openapi import OpenApi, enums
from kajitori.api.openapi.schemas import V2, V3, custom_definitions
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource, Subresource

WIDGET = Resource(
    group="example.com",
    version="v1",
    kind="Widget",
    plural="widgets",
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    schema={"type": "object", "properties": {"spec": {"type": "object", "description": "what is wanted"}}},
)


@pytest.fixture(scope="module")
def openapi() -> OpenApi:
    return OpenApi(Registry(), "v1.36.2")


def document(openapi: OpenApi, path: str) -> dict[str, Any]:
    found = openapi.v3(path)
    assert found is not None
    parsed: dict[str, Any] = orjson.loads(found.body)
    return parsed


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_index_lists_every_group_and_version(openapi: OpenApi) -> None:
    paths = openapi.v3_index()["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/networking.k8s.io/v1"} <= set(paths)
    made = openapi.v3("apis/apps/v1")
    assert made is not None
    assert paths["apis/apps/v1"]["serverRelativeURL"] == f"/openapi/v3/apis/apps/v1?hash={made.etag}"


@pytest.mark.parametrize("path", ["api/v1", "apis/apps/v1", "apis/apiextensions.k8s.io/v1"])
def test_every_reference_leads_somewhere(openapi: OpenApi, path: str) -> None:
    found = document(openapi, path)
    schemas = found["components"]["schemas"]
    assert {r.removeprefix("#/components/schemas/") for r in references(found)} <= set(schemas)


def test_version_2_is_closed_too(openapi: OpenApi) -> None:
    found = orjson.loads(openapi.v2().body)
    assert {r.removeprefix("#/definitions/") for r in references(found)} <= set(found["definitions"])
    assert found["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] == "string"


def test_operations_say_what_they_do_to_which_kind(openapi: OpenApi) -> None:
    item = document(openapi, "apis/apps/v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    patch = item["patch"]
    assert patch["x-kubernetes-action"] == "patch"
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert {"dryRun", "fieldValidation", "fieldManager", "force"} <= {p["name"] for p in patch["parameters"]}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    assert {"get", "put", "patch", "delete"} <= set(item)


def test_schemas_keep_patch_extensions_and_descriptions(openapi: OpenApi) -> None:
    schemas = document(openapi, "api/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-patch-strategy"] == "merge"
    assert containers["type"] == "array" and containers["description"]
    pod = schemas["io.k8s.api.core.v1.Pod"]
    assert pod["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Pod", "version": "v1"}]
    assert "enum" not in pod["properties"]["kind"]


def test_a_custom_kind_of_any_shape_names_no_field_in_version_2() -> None:
    anything = dataclasses.replace(WIDGET, schema={"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    gvk = [{"group": "example.com", "version": "v1", "kind": "Widget"}]
    old = custom_definitions(anything, V2)["com.example.v1.Widget"]
    assert old == {"type": "object", "x-kubernetes-group-version-kind": gvk}
    assert "metadata" in custom_definitions(anything, V3)["com.example.v1.Widget"]["properties"]


def test_custom_resources_are_published_and_withdrawn() -> None:
    registry = Registry()
    openapi = OpenApi(registry, "v1.36.2")
    before = openapi.v2().etag
    registry.add(WIDGET)
    found = document(openapi, "apis/example.com/v1")
    schema = found["components"]["schemas"]["com.example.v1.Widget"]
    assert schema["properties"]["spec"]["description"] == "what is wanted"
    assert schema["properties"]["metadata"]["allOf"][0]["$ref"].endswith("ObjectMeta")
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}/status" in found["paths"]
    assert openapi.v2().etag != before
    registry.remove(WIDGET)
    assert openapi.v3("apis/example.com/v1") is None


def test_documents_are_made_once_until_something_changes() -> None:
    openapi = OpenApi(Registry(), "v1.36.2")
    assert openapi.v3("apis/apps/v1") is openapi.v3("apis/apps/v1")


def test_the_words_that_a_field_knows_are_published(openapi: OpenApi) -> None:
    schemas = document(openapi, "api/v1")["components"]["schemas"]
    assert schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"]["enum"] == [
        "Always",
        "Never",
        "OnFailure",
    ]
    claim = schemas["io.k8s.api.core.v1.PersistentVolumeClaimSpec"]["properties"]
    assert "ReadWriteOncePod" in claim["accessModes"]["items"]["enum"] and "enum" not in claim["accessModes"]
    status = schemas["io.k8s.api.core.v1.PersistentVolumeClaimStatus"]["properties"]["allocatedResourceStatuses"]
    assert "enum" in status["additionalProperties"]


def test_words_are_known_of_fields_that_there_are(openapi: OpenApi) -> None:
    definitions = orjson.loads(openapi.v2().body)["definitions"]
    for name, fields in enums.known().items():
        assert set(fields) <= set(definitions[name]["properties"]), name
