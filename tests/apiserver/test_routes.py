"""Which paths there are and which methods they know: an answer for everything else, in upstream's form."""

import orjson
import pytest

from kajitori.api.core import CONFIG_MAP

_MAP = {"metadata": {"name": "a", "namespace": "default"}}
_GONE = b"404 page not found\n"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def status_of(plane, method, path):
    status, _, _ = await plane.client.raw(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else b"", {})
    return status


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH", "HEAD"])
@pytest.mark.parametrize("path", ["/api/v1/configmaps", "/apis/apps/v1/deployments"])
def test_a_collection_over_all_namespaces_can_only_be_read(in_cluster, method, path):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, _MAP)
        assert await status_of(plane, method, path) == 405
        assert await plane.client.get(CONFIG_MAP, "a", "default")

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/api/v1/namespaces/default/configmaps", 405),
        ("HEAD", "/api/v1/namespaces/default/configmaps", 405),
        ("OPTIONS", "/api/v1/namespaces/default/configmaps", 405),
        ("POST", "/api/v1", 405),
        ("HEAD", "/apis/apps/v1", 405),
        ("POST", "/apis/apps", 200),
        ("POST", "/apis", 200),
        ("POST", "/version", 405),
        ("GET", "/healthz/", 404),
        ("GET", "/apis//", 404),
        ("GET", "/apis//v1/configmaps", 404),
        ("GET", "//api", 404),
    ],
)
def test_methods_of_paths(in_cluster, method, path, status):
    async def scenario(plane):
        assert await status_of(plane, method, path) == status

    in_cluster(scenario)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2",
        "/api/v1/nothings",
        "/api/v1/configmaps/a",
        "/api/v1//configmaps",
        "/api/v1/bindings",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default//configmaps",
        "/api/v1/namespaces/default/status/more",
        "/api/v1/namespaces/default/pods/a/status/more",
        "/apis/apps/v9",
        "/apis/apps/v9/deployments",
    ],
)
def test_a_group_that_is_served_says_itself_what_it_has_not(in_cluster, path):
    async def scenario(plane):
        status, headers, body = await plane.client.raw("GET", path)
        answer = orjson.loads(body)
        assert (status, headers["content-type"], answer["reason"]) == (404, "application/json", "NotFound")
        assert answer["message"] == "the server could not find the requested resource"

    in_cluster(scenario)


@pytest.mark.parametrize("path", ["/nothing", "/apis/nothing.example", "/apis/nothing.example/v1/things"])
def test_a_path_of_nobody(in_cluster, path):
    async def scenario(plane):
        status, headers, body = await plane.client.raw("GET", path)
        assert (status, headers["x-content-type-options"], body) == (404, "nosniff", _GONE)

    in_cluster(scenario)


def test_an_empty_namespace_in_the_path_is_all_of_them(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, _MAP)
        _, _, body = await plane.client.raw("GET", "/api/v1/namespaces//configmaps")
        assert [item["metadata"]["name"] for item in orjson.loads(body)["items"]] == ["a"]

    in_cluster(scenario)


@pytest.mark.parametrize("path", ["/api/v1", "/apis/apps", "/apis/apps/v1"])
def test_only_the_whole_of_discovery_is_aggregated(in_cluster, path):
    async def scenario(plane):
        status, _, _ = await plane.client.raw("GET", path, b"", {"accept": DISCOVERY})
        assert status == 406
        status, _, _ = await plane.client.raw("GET", path, b"", {"accept": "application/*"})
        assert status == (200 if path == "/apis/apps" else 406)
        status, _, _ = await plane.client.raw("GET", path, b"", {"accept": f"{DISCOVERY},application/json"})
        assert status == 200

    in_cluster(scenario)


def test_aggregated_discovery_is_said_to_be_cacheable_and_nothing_else(in_cluster):
    async def scenario(plane):
        _, headers, _ = await plane.client.raw("GET", "/apis", b"", {"accept": DISCOVERY})
        assert headers["cache-control"] == "public"

    in_cluster(scenario)
