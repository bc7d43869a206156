"""Lists: selectors, pages that agree with each other, and how new a read is."""

import base64

import orjson
import pytest

from kajitori.api import core, events
from kajitori.api.core import CONFIG_MAP
from kajitori.api.errors import BadRequest, Expired, StatusError
from kajitori.apiserver.rest.continuation import decode_token


async def fill(plane, count, namespace="default"):
    for index in range(count):
        labels = {"app": f"a{index % 2}", "index": str(index)}
        metadata = {"name": f"c{index:02d}", "namespace": namespace, "labels": labels}
        await plane.client.create(CONFIG_MAP, {"metadata": metadata})


def names(found):
    return [obj["metadata"]["name"] for obj in found.items]


async def answer(plane, path):
    status, _, body = await plane.client.raw("GET", path)
    return status, orjson.loads(body)


def test_namespaces_are_apart_and_all_together_in_order(in_cluster):
    async def scenario(plane):
        await fill(plane, 2, "kube-system")
        await fill(plane, 1, "default")
        assert names(await plane.client.list(CONFIG_MAP, "default")) == ["c00"]
        found = await plane.client.list(CONFIG_MAP)
        assert [obj["metadata"]["namespace"] for obj in found.items] == ["default", "kube-system", "kube-system"]
        assert found.items[0]["kind"] == "ConfigMap"

    in_cluster(scenario)


def test_a_namespace_is_not_found_by_its_prefix(in_cluster):
    async def scenario(plane):
        await fill(plane, 1, "default")
        await fill(plane, 2, "default-more")
        assert names(await plane.client.list(CONFIG_MAP, "default")) == ["c00"]

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("labels", "fields", "expected"),
    [
        ("app=a1", "", ["c01", "c03"]),
        ("app!=a1", "", ["c00", "c02"]),
        ("index in (0,3)", "", ["c00", "c03"]),
        ("app,!missing", "", ["c00", "c01", "c02", "c03"]),
        ("", "metadata.name=c02", ["c02"]),
        ("app=a1", "metadata.name=c02", []),
    ],
)
def test_selectors(in_cluster, labels, fields, expected):
    async def scenario(plane):
        await fill(plane, 4)
        found = await plane.client.list(CONFIG_MAP, "default", label_selector=labels, field_selector=fields)
        assert names(found) == expected

    in_cluster(scenario)


def test_events_are_selected_by_the_names_of_the_version_that_is_asked(in_cluster):
    async def scenario(plane):
        about = {"kind": "Pod", "namespace": "default", "name": "p"}
        event = {
            "metadata": {"name": "e", "namespace": "default"},
            "involvedObject": about,
            "source": {"component": "c"},
        }
        await plane.client.create(core.EVENT, event)
        for kind, by_name in ((core.EVENT, "involvedObject.name"), (events.EVENT, "regarding.name")):
            for name, expected in (("p", ["e"]), ("q", [])):
                found = await plane.client.list(kind, "default", field_selector=f"{by_name}={name}")
                assert names(found) == expected
        with pytest.raises(BadRequest, match="field label not supported: involvedObject"):
            await plane.client.list(events.EVENT, "default", field_selector="involvedObject.name=p")

    in_cluster(scenario)


def test_bad_selectors(in_cluster):
    async def scenario(plane):
        with pytest.raises(BadRequest, match="unable to parse requirement"):
            await plane.client.list(CONFIG_MAP, "default", label_selector="a in (")
        with pytest.raises(BadRequest, match='"data" is not a known field selector'):
            await plane.client.list(CONFIG_MAP, "default", field_selector="data=x")

    in_cluster(scenario)


@pytest.mark.parametrize("selector", ["", "app"])
def test_pages_show_one_moment_whatever_is_written_between_them(in_cluster, selector):
    async def scenario(plane):
        await fill(plane, 7)
        first = await plane.client.list(CONFIG_MAP, "default", limit=3, label_selector=selector)
        await plane.client.delete(CONFIG_MAP, "c04", "default")
        await plane.client.create(CONFIG_MAP, {"metadata": {"name": "c045", "namespace": "default"}})
        seen, page = names(first), first
        while page.continue_token:
            page = await plane.client.list(
                CONFIG_MAP, "default", limit=3, label_selector=selector, continue_token=page.continue_token
            )
            assert page.resource_version == first.resource_version
            seen += names(page)
        assert seen == [f"c{index:02d}" for index in range(7)]

    in_cluster(scenario)


def test_the_remaining_items_are_counted_when_that_is_known(in_cluster):
    async def scenario(plane):
        await fill(plane, 5)
        path = "/api/v1/namespaces/default/configmaps?limit=2"
        _, document = await answer(plane, path)
        assert document["metadata"]["remainingItemCount"] == 3
        await plane.client.delete(CONFIG_MAP, "c04", "default")
        _, document = await answer(plane, f"{path}&continue={document['metadata']['continue']}")
        assert document["metadata"]["remainingItemCount"] == 1
        _, document = await answer(plane, f"{path}&labelSelector=app")
        assert "remainingItemCount" not in document["metadata"] and document["metadata"]["continue"]

    in_cluster(scenario)


def test_a_token_of_a_forgotten_revision_expires_and_offers_another(in_cluster):
    async def scenario(plane):
        await fill(plane, 5)
        first = await plane.client.list(CONFIG_MAP, "default", limit=2)
        await fill(plane, 1, "kube-system")
        await plane.storage.compact(await plane.storage.revision())
        with pytest.raises(Expired):
            await plane.client.list(CONFIG_MAP, "default", limit=2, continue_token=first.continue_token)
        path = f"/api/v1/namespaces/default/configmaps?continue={first.continue_token}"
        status, document = await answer(plane, path)
        assert status == 410 and document["reason"] == "Expired"
        rest = await plane.client.list(CONFIG_MAP, "default", continue_token=document["metadata"]["continue"])
        assert names(rest) == ["c02", "c03", "c04"]

    in_cluster(scenario)


def test_tokens_that_are_none(in_cluster):
    async def scenario(plane):
        for token in ("x", "e30", "AAAA"):
            with pytest.raises(BadRequest, match="continue key is not valid"):
                await plane.client.list(CONFIG_MAP, "default", continue_token=token)

    in_cluster(scenario)


def test_a_read_sees_every_write_that_was_answered(in_cluster):
    async def scenario(plane):
        for index in range(50):
            created = await plane.client.create(CONFIG_MAP, {"metadata": {"name": f"x{index}", "namespace": "default"}})
            found = await plane.client.list(CONFIG_MAP, "default")
            assert len(found.items) == index + 1
            assert int(found.resource_version) >= int(created["metadata"]["resourceVersion"])

    in_cluster(scenario)


def test_a_past_moment_can_be_listed_exactly(in_cluster):
    async def scenario(plane):
        await fill(plane, 2)
        before = await plane.client.list(CONFIG_MAP, "default")
        await plane.client.delete(CONFIG_MAP, "c00", "default")
        path = f"/api/v1/namespaces/default/configmaps?resourceVersion={before.resource_version}"
        _, document = await answer(plane, f"{path}&resourceVersionMatch=Exact")
        assert len(document["items"]) == 2 and document["metadata"]["resourceVersion"] == before.resource_version
        await plane.settle()
        _, document = await answer(plane, f"{path}&resourceVersionMatch=NotOlderThan")
        assert len(document["items"]) == 1

    in_cluster(scenario)


def test_options_that_contradict_each_other(in_cluster):
    async def scenario(plane):
        path = "/api/v1/namespaces/default/configmaps"
        status, document = await answer(plane, f"{path}?resourceVersionMatch=Exact")
        assert status == 422 and "forbidden unless resourceVersion is provided" in document["message"]
        status, document = await answer(plane, f"{path}?resourceVersion=x")
        assert status == 400
        status, document = await answer(plane, f"{path}?limit=many")
        assert status == 400

    in_cluster(scenario)


def test_a_revision_of_the_future_is_waited_for_and_then_refused(in_cluster):
    async def scenario(plane):
        import asyncio

        revision = await plane.storage.revision()
        reading = asyncio.create_task(plane.client.list(CONFIG_MAP, "default", resource_version=str(revision + 1)))
        await plane.settle()
        assert not reading.done()
        await fill(plane, 1)
        assert names(await reading) == ["c00"]
        refused = asyncio.create_task(plane.client.list(CONFIG_MAP, "default", resource_version="999999"))
        await plane.clock.advance(4)
        with pytest.raises(StatusError, match="Too large resource version: 999999") as caught:
            await refused
        assert caught.value.status_code == 504

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("limit=99999999999999999999", 'strconv.ParseInt: parsing "99999999999999999999": value out of range'),
        ("continue=!!!", "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"),
        (
            "continue=eyJ2IjoieCJ9",
            "invalid continue token: continue key is not valid: server does not recognize this encoded version x",
        ),
        (
            "resourceVersion=x",
            'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": '
            "invalid syntax",
        ),
        (
            "resourceVersionMatch=x&resourceVersion=1",
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "x": supported values: '
            '"Exact", "NotOlderThan", ""',
        ),
        (
            "watch=1&sendInitialEvents=true",
            'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires '
            "setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "fieldSelector=spec.x%3Dy",
            '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_options_are_refused_in_upstreams_words(in_cluster, query, why):
    async def scenario(plane):
        path = f"/api/v1/namespaces/default/configmaps?{query}"
        _, _, body = await plane.client.raw("GET", path, b"", {})
        assert orjson.loads(body)["message"] == why

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/api/v1/pods?fieldSelector=x%3Dy", "field label not supported: x"),
        ("/apis/batch/v1/jobs?fieldSelector=x%3Dy", 'field label "x" not supported for Job'),
        (
            "/apis/resource.k8s.io/v1/resourceslices?fieldSelector=x%3Dy",
            "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: x",
        ),
        (
            "/api/v1/persistentvolumes?fieldSelector=name%3Dy",
            '"name" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("/api/v1/nodes?fieldSelector=metadata.namespace%3Dy", "field label not supported: metadata.namespace"),
        ("/apis/storage.k8s.io/v1/storageclasses?fieldSelector=metadata.namespace%3Dy", None),
    ],
)
def test_kinds_say_in_their_own_words_by_what_they_cannot_be_selected(in_cluster, path, why):
    async def scenario(plane):
        _, _, body = await plane.client.raw("GET", path, b"", {})
        assert orjson.loads(body).get("message") == why

    in_cluster(scenario)


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{CONFIG_MAPS}?limit=", 400),
        ("GET", f"{CONFIG_MAPS}?timeoutSeconds=", 400),
        ("GET", f"{CONFIG_MAPS}?sendInitialEvents=", 422),
        ("GET", f"{CONFIG_MAPS}/c00?watch=1", 200),
        ("GET", f"{CONFIG_MAPS}/none?watch=1", 404),
        ("GET", f"{CONFIG_MAPS}/c00?export=true", 400),
        ("GET", "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Db", 400),
        ("POST", "/api/v1/watch/namespaces/default/configmaps", 405),
        ("PUT", "/api/v1/watch/namespaces/default/configmaps/c00", 405),
        ("DELETE", f"{CONFIG_MAPS}/c00?gracePeriodSeconds=", 400),
        ("DELETE", f"{CONFIG_MAPS}/c00?propagationPolicy=", 422),
        ("DELETE", f"{CONFIG_MAPS}/c00?uid=x", 409),
        ("DELETE", f"{CONFIG_MAPS}/c00?resourceVersion=1", 409),
        ("PATCH", f"{CONFIG_MAPS}/c00", 415),
    ],
)
def test_odd_options_are_answered_as_upstream_answers_them(in_cluster, method, path, status):
    async def scenario(plane):
        await fill(plane, 1)
        body = b"{}" if method in ("POST", "PUT", "PATCH") else b""
        assert (await plane.client.raw(method, path, body, {"content-type": "text/plain"}))[0] == status

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("gracePeriodSeconds=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "propagationPolicy=x",
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "x": supported values: '
            '"Foreground", "Background", "Orphan", "nil"',
        ),
    ],
)
def test_options_of_deletion_are_refused_in_upstreams_words(in_cluster, query, why):
    async def scenario(plane):
        _, _, body = await plane.client.raw("DELETE", f"{CONFIG_MAPS}/a?{query}")
        assert orjson.loads(body)["message"] == why

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("query", "found", "goes_on"),
    [
        ("limit=2", 2, True),
        ("limit=4", 4, False),
        ("limit=2&resourceVersion=0", 4, False),
        ("limit=2&labelSelector=app%3Da1", 2, False),
        ("limit=1&labelSelector=index%3D2", 1, True),  # something follows, selected or not
        ("limit=1&labelSelector=index%3D3", 1, False),
        ("limit=1&fieldSelector=metadata.name%3Dc00", 1, False),
        ("fieldSelector=metadata.name%3Dc09", 0, False),
    ],
)
def test_a_full_page_goes_on_when_anything_follows(in_cluster, query, found, goes_on):
    async def scenario(plane):
        await fill(plane, 4)
        await plane.settle()
        _, document = await answer(plane, f"{CONFIG_MAPS}?{query}")
        assert len(document["items"]) == found and ("continue" in document["metadata"]) is goes_on

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"3", "json: cannot unmarshal number into Go value of type storage.continueToken"),
        (
            b'{"v":"meta.k8s.io/v1","rv":"x"}',
            "json: cannot unmarshal string into Go struct field continueToken.rv of type",
        ),
        (b'{"v":"v9"}', "server does not recognize this encoded version v9"),
        (b'{"v":"meta.k8s.io/v1","start":"a"}', "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        (b'{"V":"meta.k8s.io/v1","RV":3}', "encoded start key empty (version meta.k8s.io/v1)"),
        (b'{"v":"meta.k8s.io/v1","rv":3,"start":"/../a"}', "/../a"),
    ],
)
def test_tokens_are_read_as_a_struct_is(document, why):
    token = base64.urlsafe_b64encode(document).decode().rstrip("=")
    with pytest.raises(BadRequest) as refused:
        decode_token(token)
    assert f"continue key is not valid: {why}" in refused.value.message
