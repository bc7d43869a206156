"""What a server says of itself, and refusals in the form that was asked for."""

import asyncio

import orjson
import pytest
import yaml

from kajitori.api.core import CONFIG_MAP
from kajitori.apiserver.about import About
from kajitori.apiserver.http_types import Query, Request, RequestContext
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes
from kajitori.kit.clock import VirtualClock

MAPS = "/api/v1/namespaces/default/configmaps"


async def get(plane, path, accept="", method="GET"):
    return await plane.client.raw(
        method, path, b"{}" if method == "POST" else b"", {"accept": accept} if accept else {}
    )


def test_the_root_lists_every_path_there_is(in_cluster):
    async def scenario(plane):
        plane.server.health.ready["store"] = lambda: ""
        status, _, body = await get(plane, "/")
        paths = orjson.loads(body)["paths"]
        assert status == 200 and paths == sorted(set(paths))
        for path in ("/api/v1", "/apis/apps", "/apis/apps/v1", "/livez/ping", "/readyz/store", "/statusz", "/flagz"):
            assert path in paths
        assert "/livez/store" not in paths
        assert (await get(plane, "/index.html"))[2] == body

    in_cluster(scenario)


def test_since_when_it_runs_and_with_which_flags():
    clock = VirtualClock()
    about = About(clock, "v1.36.2+kajitori", ["--feature=a=b", "--audit-log-path=-"])
    asyncio.run(clock.advance(3 * 3600 + 62))

    def ask(path, accept=""):
        request = Request("GET", path, Query(""), {"accept": accept} if accept else {})
        context = RequestContext(request, ANONYMOUS, Attributes(ANONYMOUS, "get", path=path), None, [])
        return about.respond(context), context.warnings

    text = ask("/statusz", "text/html, */*")[0]
    assert text.content_type == "text/plain; charset=utf-8"
    assert b"apiserver statusz" in text.body and b"Up: 3 hr 01 min 02 sec\n" in text.body
    assert b"Binary version: 1.36.2+kajitori\nEmulation version: 1.36\n" in text.body
    form = "application/json;v=v1beta1;g=config.k8s.io;as=Statusz"
    shown, warnings = ask("/statusz", form)
    assert shown.content_type == "application/json;g=config.k8s.io;v=v1beta1;as=Statusz" and not warnings
    document = orjson.loads(shown.body)
    assert (document["kind"], document["uptimeSeconds"], document["metadata"]) == (
        "Statusz",
        10862,
        {"name": "apiserver"},
    )
    shown, warnings = ask("/flagz", "application/yaml;v=v1alpha1;g=config.k8s.io;as=Flagz")
    assert yaml.safe_load(shown.body)["flags"] == {"audit-log-path": "-", "feature": "a=b"}
    assert warnings == ["This version of the flagz endpoint is deprecated. Please use a newer version."]
    assert ask("/flagz")[0].body.endswith(b"audit-log-path=-\nfeature=a=b\n")
    assert ask("/healthz")[0] is None


@pytest.mark.parametrize("accept", ["application/json", "application/yaml", "application/json;as=Statusz"])
def test_there_is_no_other_form(in_cluster, accept):
    async def scenario(plane):
        status, headers, body = await get(plane, "/statusz", accept)
        assert (status, headers["content-type"]) == (406, accept.partition(";")[0])
        assert b"the following media types are accepted: application/json, application/yaml," in body

    in_cluster(scenario)


def test_a_refusal_has_the_form_that_was_asked_for(in_cluster):
    async def scenario(plane):
        status, headers, body = await get(plane, f"{MAPS}/none", "application/yaml")
        assert (status, headers["content-type"]) == (404, "application/yaml")
        assert yaml.safe_load(body)["details"] == {"name": "none", "kind": "configmaps"}
        status, headers, body = await get(plane, f"{MAPS}/none", "text/css, application/json")
        assert (status, headers["content-type"]) == (404, "application/json")
        await plane.client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
        status, headers, body = await get(plane, f"{MAPS}/a", "application/yaml", "DELETE")
        assert (status, headers["content-type"]) == (200, "application/yaml")
        assert yaml.safe_load(body)["status"] == "Success"

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("path", "why"), [(".", "may not be '.'"), ("..", "may not be '..'"), ("a%25b", "may not contain '%'")]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_name_that_can_be_nobodys(in_cluster, method, path, why):
    async def scenario(plane):
        status, _, body = await get(plane, f"{MAPS}/{path}", method=method)
        name = path.replace("%25", "%")
        assert (status, orjson.loads(body)["message"]) == (400, f'Name parameter invalid: "{name}": {why}')

    in_cluster(scenario)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/apis/authentication.k8s.io/v1/tokenreviews/x", "/api/v1/namespaces/default/bindings/x"]
)
def test_what_is_only_asked_has_no_name(in_cluster, method, path):
    async def scenario(plane):
        assert (await get(plane, path, method=method))[0] == 404

    in_cluster(scenario)
