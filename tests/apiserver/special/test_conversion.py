"""Custom resources in several versions, over a whole server: a webhook of the test's own converts."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from kajitori.api.apiextensions import CUSTOM_RESOURCE_DEFINITION as CRD
from kajitori.api.errors import BadRequest, StatusError
from kajitori.apiserver.admission.webhooks import CallFailed
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.special.definitions import CustomResourceDefinitions
from kajitori.testing.cluster import ControlPlane

HOST = {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "string"}}}
HOST_PORT = {"type": "object", "properties": {"hostPort": {"type": "string"}}}


def schema(spec: dict[str, Any]) -> dict[str, Any]:
    status = {"type": "object", "properties": {"ready": {"type": "integer"}}}
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}}


def definition(strategy: str = "Webhook", storage: str = "v1") -> dict[str, Any]:
    conversion: dict[str, Any] = {"strategy": strategy}
    if strategy == "Webhook":
        client = {"url": "https://converter.example.com/convert"}
        conversion["webhook"] = {"clientConfig": client, "conversionReviewVersions": ["v1"]}

    def version(name: str, spec: dict[str, Any], *fields: str) -> dict[str, Any]:
        return {
            "name": name,
            "served": True,
            "storage": name == storage,
            "schema": schema(spec),
            "subresources": {"status": {}},
            "selectableFields": [{"jsonPath": f".spec.{field}"} for field in fields],
        }

    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sites.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "sites", "singular": "site", "kind": "Site", "listKind": "SiteList"},
            "versions": [version("v1", HOST_PORT, "hostPort"), version("v2", HOST, "host", "port")],
            "conversion": conversion,
        },
    }


class Webhook:
    """Splits and joins host and port. `spoil` may change an answer; `questions` are the reviews that came."""

    def __init__(self) -> None:
        self.questions: list[dict[str, Any]] = []
        self.spoil = lambda obj: obj
        self.failure = ""

    async def call(self, client_config: dict[str, Any], body: bytes, timeout_s: float) -> bytes:
        await asyncio.sleep(0)
        if self.failure:
            raise CallFailed(self.failure)
        request = orjson.loads(body)["request"]
        self.questions.append(request)
        converted = [self.spoil(self._convert(obj, request["desiredAPIVersion"])) for obj in request["objects"]]
        response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
        return orjson.dumps({"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "response": response})

    @staticmethod
    def _convert(obj: dict[str, Any], api_version: str) -> dict[str, Any]:
        spec = obj.get("spec") or {}
        if api_version.endswith("v2"):
            host, _, port = spec.get("hostPort", "").partition(":")
            spec = {"host": host, "port": port}
        else:
            spec = {"hostPort": f"{spec.get('host', '')}:{spec.get('port', '')}"}
        return {**obj, "apiVersion": api_version, "spec": spec}


class World:
    def __init__(self, plane: ControlPlane, webhook: Webhook) -> None:
        self.plane = plane
        self.webhook = webhook
        self.client = plane.client

    def kind(self, version: str) -> Any:
        found = self.plane.registry.by_path("example.com", version, "sites")
        assert found is not None
        return found

    async def create(self, name: str, version: str = "v1", **spec: str) -> dict[str, Any]:
        obj = {"apiVersion": f"example.com/{version}", "kind": "Site", "metadata": {"name": name}, "spec": spec}
        return await self.client.create(self.kind(version), {**obj, "metadata": {"name": name, "namespace": "default"}})

    async def get(self, name: str, version: str) -> dict[str, Any]:
        return await self.client.get(self.kind(version), name, "default")

    async def list(self, version: str, fields: str = "") -> list[dict[str, Any]]:
        found = await self.client.list(self.kind(version), "default", field_selector=fields)
        return list(found.items)


@asynccontextmanager
async def world(**options: str) -> AsyncIterator[World]:
    async with ControlPlane() as plane:
        webhook = Webhook()
        custom = CustomResourceDefinitions(
            plane.server.objects, plane.registry, plane.clock, webhook.call, random.Random(0)
        )
        plane.server.install(Extension(hooks={(CRD.group, CRD.plural): [custom]}))
        await plane.client.create(CRD, definition(**options))
        yield World(plane, webhook)
        custom.stop()


def run(scenario: Any, **options: str) -> None:
    async def main() -> None:
        async with world(**options) as w:
            await scenario(w)

    asyncio.run(main())


def test_an_object_is_shown_in_every_version() -> None:
    async def scenario(w: World) -> None:
        created = await w.create("a", "v2", host="h", port="1")
        assert created["spec"] == {"host": "h", "port": "1"}
        assert (await w.get("a", "v1"))["spec"] == {"hostPort": "h:1"}
        shown = await w.get("a", "v2")
        assert shown == created
        assert shown["apiVersion"] == "example.com/v2"

    run(scenario)


def test_what_is_in_the_version_asked_for_needs_no_webhook() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        await w.get("a", "v1")
        await w.list("v1")
        assert w.webhook.questions == []

    run(scenario)


def test_a_list_is_one_question_and_each_object_is_converted_once() -> None:
    async def scenario(w: World) -> None:
        for number in range(3):
            await w.create(f"a{number}", hostPort=f"h:{number}")
        shown = await w.list("v2")
        assert [item["spec"]["port"] for item in shown] == ["0", "1", "2"]
        (question,) = w.webhook.questions
        assert question["desiredAPIVersion"] == "example.com/v2"
        assert len(question["objects"]) == 3
        await w.list("v2")
        await w.get("a1", "v2")
        assert len(w.webhook.questions) == 1

    run(scenario)


def test_readers_at_once_share_a_question() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        await asyncio.gather(*(w.get("a", "v2") for _ in range(5)))
        assert len(w.webhook.questions) == 1

    run(scenario)


def test_changes_in_one_version_are_seen_in_the_other() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        patched = await w.client.patch(w.kind("v2"), "a", {"spec": {"port": "2"}}, "default")
        assert patched["spec"] == {"host": "h", "port": "2"}
        assert patched["metadata"]["generation"] == 2
        assert (await w.get("a", "v1"))["spec"] == {"hostPort": "h:2"}
        status = await w.client.patch(w.kind("v2"), "a", {"status": {"ready": 1}}, "default", subresource="status")
        assert status["spec"] == {"host": "h", "port": "2"}
        updated = await w.client.update(w.kind("v2"), {**status, "spec": {"host": "g", "port": "2"}})
        assert updated["metadata"]["generation"] == 3
        assert (await w.get("a", "v1"))["status"] == {"ready": 1}
        await w.client.delete(w.kind("v2"), "a", "default")
        assert await w.list("v1") == []

    run(scenario)


def test_an_update_that_changes_nothing_writes_nothing() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        before = await w.get("a", "v2")
        after = await w.client.update(w.kind("v2"), before)
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    run(scenario)


def test_objects_of_an_older_storage_version_are_read_in_both() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        stored = await w.client.get(CRD, "sites.example.com")
        for version in stored["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        stored = await w.client.update(CRD, stored)
        assert stored["status"]["storedVersions"] == ["v1", "v2"]
        await w.create("b", "v2", host="h", port="2")
        for version, spec in (("v1", {"hostPort": "h:1"}), ("v2", {"host": "h", "port": "1"})):
            shown = await w.list(version)
            assert [item["apiVersion"] for item in shown] == [f"example.com/{version}"] * 2
            assert shown[0]["spec"] == spec

    run(scenario)


def test_only_labels_and_annotations_of_the_metadata_may_change() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")

        def relabel(obj: dict[str, Any]) -> dict[str, Any]:
            meta = {**obj["metadata"], "labels": {"by": "webhook"}, "generation": 99, "finalizers": ["x.example.com/y"]}
            return {**obj, "metadata": meta}

        w.webhook.spoil = relabel
        shown = await w.get("a", "v2")
        assert shown["metadata"]["labels"] == {"by": "webhook"}
        assert shown["metadata"]["generation"] == 1
        assert "finalizers" not in shown["metadata"]

    run(scenario)


WHOSE = "conversion webhook for example.com/v1, Kind=Site"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Other"}, "returned invalid object at index 0: invalid kind (expected Site, received Other)"),
        (
            {"apiVersion": "example.com/v1"},
            "returned invalid object at index 0: "
            "invalid groupVersion (expected example.com/v2, received example.com/v1)",
        ),
        ({"metadata": {"name": "b"}}, "returned invalid object: must have the same name: a != b"),
        ({"metadata": 3}, "returned invalid metadata: invalid metadata of type int64 in converted object"),
    ],
)
def test_an_object_that_will_not_do_is_refused(change: dict[str, Any], message: str) -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        w.webhook.spoil = lambda obj: {**obj, **change}
        with pytest.raises(StatusError) as failed:
            await w.get("a", "v2")
        assert str(failed.value) == f"{WHOSE} {message}"
        assert failed.value.status_code == 500

    run(scenario)


def test_a_webhook_that_cannot_be_reached_fails_the_request_and_is_asked_again() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        w.webhook.failure = 'Post "https://x/?timeout=30s": refused'
        with pytest.raises(StatusError, match="failed: Post") as failed:
            await w.get("a", "v2")
        assert str(failed.value).startswith(f"{WHOSE} failed: ")
        w.webhook.failure = ""
        assert (await w.get("a", "v2"))["spec"] == {"host": "h", "port": "1"}

    run(scenario)


def test_what_a_version_does_not_know_is_pruned() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        w.webhook.spoil = lambda obj: {**obj, "spec": {**obj["spec"], "extra": 1}}
        assert (await w.get("a", "v2"))["spec"] == {"host": "h", "port": "1"}

    run(scenario)


def test_a_watch_in_another_version_keeps_the_order() -> None:
    async def scenario(w: World) -> None:
        first = await w.create("a", hostPort="h:1")
        seen: list[tuple[str, dict[str, Any]]] = []

        async def follow() -> None:
            watch = w.client.watch(w.kind("v2"), resource_version=first["metadata"]["resourceVersion"])
            async for event in watch:
                seen.append((event.type.value, event.object["spec"]))
                if len(seen) == 4:
                    return

        task = asyncio.create_task(follow())
        await w.plane.settle()
        for port in ("2", "3"):
            await w.client.patch(w.kind("v1"), "a", {"spec": {"hostPort": f"h:{port}"}}, "default")
        await w.create("b", "v2", host="g", port="9")
        await w.client.delete(w.kind("v1"), "a", "default")
        await task
        assert seen == [
            ("MODIFIED", {"host": "h", "port": "2"}),
            ("MODIFIED", {"host": "h", "port": "3"}),
            ("ADDED", {"host": "g", "port": "9"}),
            ("DELETED", {"host": "h", "port": "3"}),
        ]

    run(scenario)


@pytest.mark.parametrize("strategy", ["Webhook", "None"])
def test_fields_are_selected_by_in_each_version(strategy: str) -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        await w.create("b", hostPort="g:1")
        assert [item["metadata"]["name"] for item in await w.list("v1", "spec.hostPort=h:1")] == ["a"]
        if strategy == "Webhook":
            assert [item["metadata"]["name"] for item in await w.list("v2", "spec.host=g")] == ["b"]
            assert [item["metadata"]["name"] for item in await w.list("v2", "spec.port=1,metadata.name=a")] == ["a"]
        for version, field in (("v1", "spec.host"), ("v2", "spec.hostPort")):
            with pytest.raises(BadRequest, match="field label not supported"):
                await w.list(version, f"{field}=h")

    run(scenario, strategy=strategy)


def test_without_a_webhook_only_the_version_is_another_and_what_is_not_stored_is_lost() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        await w.create("b", "v2", host="h", port="1")
        assert (await w.get("a", "v2"))["spec"] == {}
        assert (await w.get("b", "v2"))["spec"] == {}
        assert await w.list("v2", "spec.host=h") == []

    run(scenario, strategy="None")


def test_a_watch_by_a_field_sees_objects_come_and_go() -> None:
    async def scenario(w: World) -> None:
        first = await w.create("a", hostPort="g:1")
        seen: list[tuple[str, str]] = []

        async def follow() -> None:
            version = first["metadata"]["resourceVersion"]
            watch = w.client.watch(w.kind("v2"), resource_version=version, field_selector="spec.host=h")
            async for event in watch:
                seen.append((event.type.value, event.object["spec"]["port"]))
                if len(seen) == 3:
                    return

        task = asyncio.create_task(follow())
        await w.plane.settle()
        for text in ("g:2", "h:3", "h:4", "g:5"):
            await w.client.patch(w.kind("v1"), "a", {"spec": {"hostPort": text}}, "default")
        await task
        assert seen == [("ADDED", "3"), ("MODIFIED", "4"), ("DELETED", "4")]

    run(scenario)


def test_a_changed_definition_ends_the_watches() -> None:
    async def scenario(w: World) -> None:
        async def follow(version: str) -> int:
            return len([event async for event in w.client.watch(w.kind(version), resource_version="0")])

        tasks = [asyncio.create_task(follow(version)) for version in ("v1", "v2")]
        await w.plane.settle()
        await w.client.patch(CRD, "sites.example.com", {"metadata": {"labels": {"a": "b"}}})
        await w.plane.settle()
        assert not any(task.done() for task in tasks)
        await w.client.patch(CRD, "sites.example.com", {"spec": {"names": {"shortNames": ["st"]}}})
        assert await asyncio.gather(*tasks) == [0, 0]

    run(scenario)


def test_a_deprecated_version_warns_whoever_uses_it() -> None:
    async def scenario(w: World) -> None:
        stored = await w.client.get(CRD, "sites.example.com")
        stored["spec"]["versions"][0]["deprecated"] = True
        await w.client.update(CRD, stored)
        path = "/apis/example.com/{}/namespaces/default/sites"
        _, headers, _ = await w.client.raw("GET", path.format("v1"))
        assert headers["warning"] == '299 - "example.com/v1 Site is deprecated; use example.com/v2 Site"'
        _, headers, _ = await w.client.raw("GET", path.format("v2"))
        assert "warning" not in headers

    run(scenario)


def test_a_watch_whose_webhook_fails_says_so_and_ends() -> None:
    async def scenario(w: World) -> None:
        await w.create("a", hostPort="h:1")
        w.webhook.failure = "gone"
        _, _, body = await w.client.raw("GET", "/apis/example.com/v2/sites?watch=1&resourceVersion=0")
        event = orjson.loads(body)
        assert event["type"] == "ERROR"
        assert event["object"]["message"] == f"{WHOSE} failed: gone"

    run(scenario)
