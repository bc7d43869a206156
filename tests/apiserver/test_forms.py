"""The forms of an answer: tables, metadata alone, YAML, other versions; and what discovery says."""

import orjson
import pytest
import yaml

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.core import CONFIG_MAP, EVENT
from kajitori.api.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from kajitori.api.events import EVENT as NEW_EVENT
from kajitori.api.flowcontrol import FLOW_SCHEMA
from kajitori.apiserver.negotiate import Form, accepted, accepted_of_watch, decode_body

TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
SWAGGER = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
MAPS = "/api/v1/namespaces/default/configmaps"


async def get(plane, path, accept="application/json", **headers):
    status, answered, body = await plane.client.raw("GET", path, headers={"accept": accept, **headers})
    return status, answered, body


async def fill(plane):
    for name in ("a", "b"):
        await plane.client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "default"}, "data": {"k": "v"}})


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", Form.OBJECT),
        ("*/*", Form.OBJECT),
        (TABLE, Form.TABLE),
        ("application/vnd.kubernetes.protobuf,application/json", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,application/json", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Form.METADATA),
        (PARTIAL_LIST, Form.METADATA_LIST),
        ("application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9", Form.TABLE),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Form.OBJECT),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", Form.OBJECT),
        ("application/json;as=", Form.OBJECT),
    ],
)
def test_the_first_acceptable_form_is_served(header, form):
    assert accepted(header).form is form


def test_a_form_that_cannot_be_served():
    for header in ("application/xml", "application/*", "APPLICATION/JSON", "*"):
        with pytest.raises(NotAcceptable, match="406: Not Acceptable\n\nAvailable representations: application/json, "):
            accepted(header)
    with pytest.raises(NotAcceptable, match="stream=watch"):
        accepted("application/xml", lists=True)
    for header in (
        "application/json;as=Table",
        "application/json;as=Table;v=v9;g=meta.k8s.io",
        "application/json;as=No",
    ):
        with pytest.raises(NotAcceptable, match="only the following media types are accepted"):
            accepted(header)
    with pytest.raises(UnsupportedMediaType):
        decode_body(b"<x/>", "application/xml")
    with pytest.raises(BadRequest, match="yaml: "):
        decode_body(b"a: [", "application/yaml")


def test_a_watch_streams_no_yaml():
    assert not accepted_of_watch("application/yaml, application/json").yaml
    with pytest.raises(NotAcceptable, match="media types are accepted: application/json;stream=watch, "):
        accepted_of_watch("application/yaml")


def test_tables(in_cluster):
    async def scenario(plane):
        await fill(plane)
        await plane.clock.advance(200)
        _, headers, body = await get(plane, MAPS, TABLE)
        assert headers["content-type"] == "application/json"
        table = orjson.loads(body)
        assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert [row["cells"] for row in table["rows"]] == [["a", 1, "3m20s"], ["b", 1, "3m20s"]]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        assert table["metadata"]["resourceVersion"]
        _, _, body = await get(plane, f"{MAPS}/a?includeObject=Object", TABLE)
        assert orjson.loads(body)["rows"][0]["object"]["data"] == {"k": "v"}
        _, _, body = await get(plane, f"{MAPS}?includeObject=None&limit=1", TABLE)
        table = orjson.loads(body)
        assert table["rows"][0]["object"] is None and table["metadata"]["continue"]

    in_cluster(scenario)


def test_a_table_of_flow_schemas_is_read_from_the_first_that_is_asked_to_the_last(in_cluster):
    async def scenario(plane):
        path = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
        for name, precedence in (("b", 700), ("z", 20), ("a", 700)):
            spec = {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": "exempt"}}
            await plane.server.objects.create(FLOW_SCHEMA, {"metadata": {"name": name}, "spec": spec})
        _, _, body = await get(plane, path, TABLE)
        rows = [row["cells"][0] for row in orjson.loads(body)["rows"]]
        assert [name for name in rows if len(name) == 1] == ["z", "a", "b"]
        _, _, body = await get(plane, path)
        listed = [item["metadata"]["name"] for item in orjson.loads(body)["items"]]
        assert listed == sorted(listed)

    in_cluster(scenario)


def test_metadata_alone(in_cluster):
    async def scenario(plane):
        await fill(plane)
        _, _, body = await get(plane, MAPS, PARTIAL_LIST)
        listed = orjson.loads(body)
        assert listed["kind"] == "PartialObjectMetadataList" and len(listed["items"]) == 2
        assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}
        _, _, body = await get(plane, f"{MAPS}/a", PARTIAL)
        assert orjson.loads(body)["kind"] == "PartialObjectMetadata"

    in_cluster(scenario)


@pytest.mark.parametrize("accept", ["application/json", "application/yaml"])
def test_items_of_a_built_in_kind_do_not_say_what_they_are(in_cluster, accept):
    async def scenario(plane):
        await fill(plane)
        _, _, body = await get(plane, MAPS, accept)
        listed = yaml.safe_load(body)
        assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
        assert set(listed["items"][0]) == {"metadata", "data"}
        path = MAPS.replace("configmaps", "secrets")
        assert orjson.loads((await get(plane, path, "application/json"))[2])["items"] == []

    in_cluster(scenario)


def test_yaml(in_cluster):
    async def scenario(plane):
        await fill(plane)
        _, headers, body = await get(plane, f"{MAPS}/a", "application/yaml")
        assert headers["content-type"] == "application/yaml" and b"\nkind: ConfigMap\n" in body

    in_cluster(scenario)


def test_one_object_in_two_versions(in_cluster):
    async def scenario(plane):
        reference = {"kind": "Pod", "namespace": "default", "name": "p"}
        event = {
            "metadata": {"name": "e", "namespace": "default"},
            "involvedObject": reference,
            "reason": "Tested",
            "message": "because",
            "type": "Normal",
        }
        await plane.client.create(EVENT, event)
        seen = await plane.client.get(NEW_EVENT, "e", "default")
        assert seen["apiVersion"] == "events.k8s.io/v1" and seen["note"] == "because"
        assert seen["regarding"]["name"] == "p"
        listed = await plane.client.list(NEW_EVENT, "default")
        assert [item["apiVersion"] for item in listed.items] == ["events.k8s.io/v1"]
        await plane.client.delete(NEW_EVENT, "e", "default")
        assert (await plane.client.list(EVENT, "default")).items == []

    in_cluster(scenario)


def test_events_are_forgotten_after_an_hour(in_cluster):
    async def scenario(plane):
        def event(name):
            return {
                "metadata": {"name": name, "namespace": "default"},
                "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
                "type": "Normal",
            }

        await plane.client.create(EVENT, event("old"))
        await plane.client.create(EVENT, event("written-again"))
        await plane.clock.advance(3000)
        await plane.client.patch(EVENT, "written-again", {"count": 2}, "default")
        await plane.clock.advance(700)
        left = await plane.client.list(EVENT, "default")
        assert [item["metadata"]["name"] for item in left.items] == ["written-again"]
        await plane.clock.advance(3000)
        assert (await plane.client.list(EVENT, "default")).items == []

    in_cluster(scenario)


def test_discovery_of_groups_and_resources(in_cluster):
    async def scenario(plane):
        _, _, body = await get(plane, "/api")
        assert orjson.loads(body)["versions"] == ["v1"]
        _, _, body = await get(plane, "/apis")
        groups = {group["name"]: group for group in orjson.loads(body)["groups"]}
        assert groups["autoscaling"]["preferredVersion"]["version"] == "v2"
        assert [v["version"] for v in groups["autoscaling"]["versions"]] == ["v2", "v1"]
        _, _, body = await get(plane, "/apis/apps")
        assert orjson.loads(body)["kind"] == "APIGroup"
        _, _, body = await get(plane, "/apis/apps/v1")
        rows = {row["name"]: row for row in orjson.loads(body)["resources"]}
        assert rows["deployments"]["shortNames"] == ["deploy"] and rows["deployments"]["storageVersionHash"]
        assert rows["deployments/scale"]["kind"] == "Scale" and rows["deployments/scale"]["group"] == "autoscaling"
        _, _, body = await get(plane, "/api/v1")
        assert orjson.loads(body)["groupVersion"] == "v1"
        status, _, _ = await get(plane, "/apis/nothing.example.com")
        assert status == 404

    in_cluster(scenario)


def test_aggregated_discovery_says_the_same_and_has_an_etag(in_cluster):
    async def scenario(plane):
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
        _, headers, body = await get(plane, "/apis", accept)
        assert headers["content-type"].endswith("as=APIGroupDiscoveryList")
        groups = {item["metadata"]["name"]: item for item in orjson.loads(body)["items"]}
        resources = {r["resource"]: r for r in groups["apps"]["versions"][0]["resources"]}
        assert resources["deployments"]["responseKind"] == {"group": "", "version": "", "kind": "Deployment"}
        parts = {part["subresource"]: part for part in resources["deployments"]["subresources"]}
        assert parts["scale"]["responseKind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        status, _, _ = await get(plane, "/apis", accept, **{"if-none-match": headers["etag"]})
        assert status == 304
        plane.registry.remove(DEPLOYMENT)
        status, _, _ = await get(plane, "/apis", accept, **{"if-none-match": headers["etag"]})
        assert status == 200
        _, _, body = await get(plane, "/api", accept)
        assert [item["metadata"].get("name") for item in orjson.loads(body)["items"]] == [None]

    in_cluster(scenario)


def test_version_health_metrics_and_the_root(in_cluster):
    async def scenario(plane):
        _, _, body = await get(plane, "/version")
        assert orjson.loads(body)["gitVersion"].startswith("v1.36.")
        for path in ("/healthz", "/livez", "/readyz", "/livez/ping", "/livez/log"):
            assert (await get(plane, path))[2] == b"ok"
        _, _, body = await get(plane, "/readyz?verbose")
        assert b"[+]ping ok" in body and body.endswith(b"readyz check passed\n")
        plane.server.health.ready["store"] = lambda: "the disk is full"
        status, _, body = await get(plane, "/readyz")
        assert status == 500 and body.endswith(b"[-]store failed: reason withheld\nreadyz check failed\n")
        assert (await get(plane, "/readyz/store"))[2] == b"internal server error: the disk is full\n"
        assert (await get(plane, "/livez"))[0] == 200 and (await get(plane, "/readyz?exclude=store"))[0] == 200
        _, _, body = await get(plane, "/metrics/slis")
        assert b'kubernetes_healthcheck{name="ping",type="livez"} 1\n' in body
        assert b'kubernetes_healthcheck{name="store",type="readyz"} 0\n' in body
        assert b'kubernetes_healthchecks_total{name="store",type="readyz",status="error"} ' in body
        await get(plane, MAPS)
        _, _, body = await get(plane, "/metrics")
        assert b'apiserver_request_total{verb="LIST",group="",version="v1",resource="configmaps"' in body
        assert b'apiserver_storage_objects{resource="namespaces"} 4' in body
        _, _, body = await get(plane, "/")
        assert "/api" in orjson.loads(body)["paths"]
        assert (await get(plane, "/nowhere"))[0] == 404

    in_cluster(scenario)


def test_openapi_documents_are_served_with_etags(in_cluster):
    async def scenario(plane):
        _, _, body = await get(plane, "/openapi/v3")
        link = orjson.loads(body)["paths"]["apis/apps/v1"]["serverRelativeURL"]
        status, headers, body = await get(plane, link)
        assert status == 200 and "io.k8s.api.apps.v1.Deployment" in orjson.loads(body)["components"]["schemas"]
        status, _, _ = await get(plane, link, **{"if-none-match": headers["etag"]})
        assert status == 304
        assert (await get(plane, "/openapi/v3/apis/none/v1"))[0] == 404

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (SWAGGER.replace("2.v1", "2@v1"), SWAGGER),
        (f"{SWAGGER}, application/json", SWAGGER),
        ("application/json, */*", "application/json"),
        ("text/html, */*", "application/json"),
        ("", "application/json"),
    ],
)
def test_openapi_version_2_is_given_in_the_form_that_was_asked_for(in_cluster, accept, answered):
    async def scenario(plane):
        status, headers, body = await get(plane, "/openapi/v2", accept=accept)
        assert (status, headers["content-type"]) == (200, answered)
        assert body.startswith(b"\x0a\x032.0" if "protobuf" in answered else b"{")

    in_cluster(scenario)


def test_openapi_version_3_in_protobuf_is_not_acceptable(in_cluster):
    async def scenario(plane):
        form = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
        assert (await get(plane, "/openapi/v3/apis/apps/v1", accept=form))[0] == 406
        assert (await get(plane, "/openapi/v2", accept="text/html"))[0] == 406

    in_cluster(scenario)


def test_metadata_of_a_list_is_a_list_and_of_an_object_is_none(in_cluster):
    async def scenario(plane):
        await fill(plane)
        alone = PARTIAL_LIST.replace("PartialObjectMetadataList", "PartialObjectMetadata")
        status, _, body = await get(plane, MAPS, alone)
        why = "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)"
        assert (status, orjson.loads(body)["message"]) == (406, why)
        status, _, body = await get(plane, f"{MAPS}/a", PARTIAL_LIST)
        why = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)"
        assert (status, orjson.loads(body)["message"]) == (406, why)

    in_cluster(scenario)


def test_what_cannot_be_answered_is_not_done(in_cluster):
    async def scenario(plane):
        body = orjson.dumps({"metadata": {"name": "a"}})
        status, _, _ = await plane.client.raw("POST", MAPS, body, {"accept": "text/html"})
        assert status == 406
        status, _, _ = await plane.client.raw("GET", f"{MAPS}/a")
        assert status == 404

    in_cluster(scenario)
