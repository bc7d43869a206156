import dataclasses
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from kajitori.api.openapi import OpenApi, enums
from kajitori.api.openapi.custom_schemas import custom_definitions
from kajitori.api.openapi.schemas import V2, V3
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
    there = {f"#/{kind}/{name}" for kind in ("definitions", "parameters") for name in found[kind]}
    assert set(references(found)) == there & set(references(found))
    assert {r for r in there if r.startswith("#/parameters/")} <= set(references(found))
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
    text = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"]["description"]
    assert text.endswith('\n\nPossible enum values:\n - `"Always"`\n - `"Never"`\n - `"OnFailure"`')
    claim = schemas["io.k8s.api.core.v1.PersistentVolumeClaimSpec"]["properties"]
    assert "ReadWriteOncePod" in claim["accessModes"]["items"]["enum"] and "enum" not in claim["accessModes"]
    status = schemas["io.k8s.api.core.v1.PersistentVolumeClaimStatus"]["properties"]["allocatedResourceStatuses"]
    assert "enum" in status["additionalProperties"]


def test_words_are_known_of_fields_that_there_are(openapi: OpenApi) -> None:
    definitions = orjson.loads(openapi.v2().body)["definitions"]
    for name, fields in enums.known().items():
        assert set(fields) <= set(definitions[name]["properties"]), name


def test_what_belongs_to_no_kind_has_documents_of_its_own(openapi: OpenApi) -> None:
    paths = openapi.v3_index()["paths"]
    general = {"api", "apis", "apis/apps", "version", "openid/v1/jwks", ".well-known/openid-configuration"}
    assert general <= set(paths)
    for path in general:
        made = openapi.v3(path)
        assert made is not None and paths[path]["serverRelativeURL"].endswith(f"?hash={made.etag}")
        assert list(orjson.loads(made.body)["paths"]) == [f"/{path}/"]
    assert "io.k8s.apimachinery.pkg.version.Info" in document(openapi, "version")["components"]["schemas"]
    assert "schemas" not in document(openapi, "openid/v1/jwks")["components"]


def test_parameters_of_all_operations_belong_to_the_path(openapi: OpenApi) -> None:
    paths = document(openapi, "api/v1")["paths"]
    names = [p["name"] for p in paths["/api/v1/namespaces/{namespace}/pods/{name}"]["parameters"]]
    assert names == ["name", "namespace", "pretty"]
    everywhere = paths["/api/v1/pods"]
    assert "watch" in [p["name"] for p in everywhere["parameters"]] and "parameters" not in everywhere["get"]
    binding = paths["/api/v1/namespaces/{namespace}/pods/{name}/binding"]["parameters"]
    assert [p["name"] for p in binding][:3] == ["dryRun", "fieldManager", "fieldValidation"]
    assert binding[3]["description"] == "name of the Binding"


def test_version_2_says_a_parameter_once() -> None:
    found = orjson.loads(OpenApi(Registry(), "v1.36.2").v2().body)
    operation = found["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"]
    apart = [p["name"] for p in operation["parameters"] if "$ref" not in p]
    assert apart == ["body", "dryRun", "fieldValidation"]
    (reference,) = [p["$ref"] for p in operation["parameters"] if "$ref" in p]
    assert found["parameters"][reference.removeprefix("#/parameters/")]["name"] == "fieldManager"
    assert found["info"]["version"] == "1.36" and found["security"] == [{"BearerToken": []}]


@pytest.mark.parametrize(
    ("path", "method", "name"),
    [
        ("/api/v1/watch/namespaces/{namespace}/pods/{name}", "get", "watchCoreV1NamespacedPod"),
        ("/api/v1/watch/namespaces/{namespace}/pods", "get", "watchCoreV1NamespacedPodList"),
        ("/api/v1/watch/pods", "get", "watchCoreV1PodListForAllNamespaces"),
        ("/api/v1/watch/namespaces/{name}", "get", "watchCoreV1Namespace"),
        ("/api/v1/nodes/{name}/proxy/{path}", "head", "connectCoreV1HeadNodeProxyWithPath"),
        ("/api/v1/namespaces/{namespace}/endpoints", "delete", "deleteCoreV1CollectionNamespacedEndpoints"),
        ("/api/v1/", "get", "getCoreV1APIResources"),
    ],
)
def test_operations_are_called(openapi: OpenApi, path: str, method: str, name: str) -> None:
    operation = document(openapi, "api/v1")["paths"][path][method]
    assert (operation["operationId"], operation["tags"]) == (name, ["core_v1"])


def test_articles(openapi: OpenApi) -> None:
    core, networking = document(openapi, "api/v1")["paths"], document(openapi, "apis/networking.k8s.io/v1")["paths"]
    assert core["/api/v1/namespaces/{namespace}/endpoints"]["post"]["description"] == "create Endpoints"
    assert core["/api/v1/namespaces/{namespace}/pods"]["post"]["description"] == "create a Pod"
    ingresses = networking["/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses"]
    assert ingresses["post"]["description"] == "create an Ingress"


def test_version_3_publishes_what_empty_fields_are(openapi: OpenApi) -> None:
    schemas = document(openapi, "api/v1")["components"]["schemas"]
    pod = schemas["io.k8s.api.core.v1.Pod"]["properties"]
    assert pod["spec"]["default"] == {} and pod["spec"]["allOf"][0]["$ref"].endswith("PodSpec")
    assert schemas["io.k8s.api.core.v1.Container"]["properties"]["name"]["default"] == ""
    assert schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"]["default"] == "TCP"
    assert "default" not in schemas["io.k8s.api.core.v1.ContainerStateRunning"]["properties"]["startedAt"]
    assert schemas["io.k8s.api.core.v1.ConfigMapKeySelector"]["properties"]["name"]["default"] == ""
    old = orjson.loads(openapi.v2().body)["definitions"]["io.k8s.api.core.v1.Container"]["properties"]
    assert "default" not in old["name"]


def test_a_document_tells_only_its_own_version_of_what_belongs_to_all(openapi: OpenApi) -> None:
    for path, groups in (("apis/apps/v1", ["", "apps"]), ("api/v1", [""])):
        schemas = document(openapi, path)["components"]["schemas"]
        gvks = schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"]
        assert [gvk["group"] for gvk in gvks] == groups


def test_custom_kinds_have_neither_old_watches_nor_strategic_patches_nor_lists_of_resources() -> None:
    registry = Registry()
    registry.add(WIDGET)
    openapi = OpenApi(registry, "v1.36.2")
    assert "apis/example.com" not in openapi.v3_index()["paths"]
    paths = document(openapi, "apis/example.com/v1")["paths"]
    assert not [path for path in paths if "/watch/" in path or path.endswith("/v1/")]
    widgets = paths["/apis/example.com/v1/namespaces/{namespace}/widgets"]
    assert widgets["get"]["description"] == "list objects of kind Widget"
    assert set(widgets["post"]["requestBody"]["content"]) == {"application/json", "application/yaml"}
    patch = paths["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    assert patch["tags"] == ["exampleCom_v1"] and "201" not in patch["responses"]


def custom(schema: dict[str, Any], prefix: str) -> Any:
    """What is published of a field with this schema."""
    kind = dataclasses.replace(WIDGET, schema={"type": "object", "properties": {"f": schema}})
    return custom_definitions(kind, prefix)["com.example.v1.Widget"]["properties"]["f"]


EITHER = [{"type": "integer"}, {"type": "string"}]


@pytest.mark.parametrize(
    ("schema", "published"),
    [
        ({"x-kubernetes-int-or-string": True}, {"anyOf": EITHER}),
        ({"x-kubernetes-int-or-string": True, "anyOf": EITHER}, {"anyOf": EITHER}),
        (
            {"x-kubernetes-int-or-string": True, "anyOf": [{"minimum": 1}]},
            {"anyOf": [{"minimum": 1}], "allOf": [{"anyOf": EITHER}]},
        ),
        ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": True}),
        ({"type": "string", "example": "x", "default": ""}, {"type": "string", "example": "x", "default": ""}),
        ({"type": "string", "nullable": False, "pattern": ""}, {"type": "string"}),
    ],
)
def test_version_3_says_all_of_a_custom_schema(schema: dict[str, Any], published: dict[str, Any]) -> None:
    found = custom(schema, V3)
    found.pop("x-kubernetes-int-or-string", None)
    assert found == published


@pytest.mark.parametrize(
    ("schema", "published"),
    [
        ({"type": "string", "nullable": True, "maxLength": 3}, {"maxLength": 3}),
        ({"type": "array", "nullable": True, "items": {"type": "string"}}, {}),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}}, {}),
        ({"type": "string", "anyOf": [{"pattern": "a"}], "not": {"pattern": "b"}, "default": "c"}, {"type": "string"}),
        (
            {"type": "object", "required": ["a", "b"], "properties": {"a": {"nullable": True}, "b": {}}},
            {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {}}},
        ),
        (
            {"type": "object", "required": ["a"], "additionalProperties": {"nullable": True, "type": "string"}},
            {"type": "object", "additionalProperties": {}},
        ),
        ({"x-kubernetes-int-or-string": True}, {"x-kubernetes-int-or-string": True}),
    ],
)
def test_version_2_says_less_of_a_custom_schema(schema: dict[str, Any], published: dict[str, Any]) -> None:
    found = custom(schema, V2)
    found.pop("x-kubernetes-preserve-unknown-fields", None)
    assert found == published


def test_a_whole_object_inside_a_custom_kind_has_what_every_object_has() -> None:
    found = custom({"type": "object", "x-kubernetes-embedded-resource": True, "required": ["kind"]}, V3)
    assert set(found["properties"]) == {"apiVersion", "kind", "metadata"} and found["required"] == [
        "kind",
        "apiVersion",
    ]


def test_documents_of_custom_kinds_are_told_from_ours() -> None:
    fields = {"spec.color": lambda _: ""}
    kind = dataclasses.replace(
        WIDGET, list_kind="WidgetGroup", selectable_fields=fields, stored_field_names={"spec.color": "spec.color"}
    )
    registry = Registry()
    registry.add(kind)
    found = document(OpenApi(registry, "v1.36.2"), "apis/example.com/v1")
    assert found["info"]["title"] == "Kubernetes CRD Swagger" and "securitySchemes" not in found["components"]
    schemas = found["components"]["schemas"]
    assert schemas["com.example.v1.Widget"]["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.color"}]
    assert schemas["com.example.v1.WidgetGroup"]["x-kubernetes-group-version-kind"][0]["kind"] == "WidgetGroup"
    gvks = schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"]
    assert {"", "apps"} < {gvk["group"] for gvk in gvks} and "apiextensions.k8s.io" not in {g["group"] for g in gvks}


def test_metrics_of_nodes_and_pods_are_defined() -> None:
    registry = Registry()
    registry.add(Resource(group="metrics.k8s.io", version="v1beta1", kind="PodMetrics", plural="pods", verbs=("list",)))
    found = document(OpenApi(registry, "v1.36.2"), "apis/metrics.k8s.io/v1beta1")
    schemas = found["components"]["schemas"]
    name = "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics"
    assert schemas[name]["x-kubernetes-group-version-kind"][0]["kind"] == "PodMetrics"
    assert {r.removeprefix("#/components/schemas/") for r in references(found)} <= set(schemas)
    answer = found["paths"]["/apis/metrics.k8s.io/v1beta1/pods"]["get"]["responses"]["200"]["content"]
    assert answer["application/json"]["schema"]["$ref"].endswith(f"{name}List")
