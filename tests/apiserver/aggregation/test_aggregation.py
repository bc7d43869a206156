"""An API server behind ours: a whole one in this process, over TLS, that trusts the front proxy's authority."""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from kajitori.api import core, discovery
from kajitori.api.apiregistration import API_SERVICE
from kajitori.api.meta import condition_of
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver import pki
from kajitori.apiserver.documents import encode, key_in_store
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http.tls import server_context
from kajitori.apiserver.http_types import Query, Request, Response
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.local_client import LocalClient
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import SystemClock
from kajitori.storage.interface import ABSENT, Put
from kajitori.storage.memory import MemoryStorage
from kajitori.testing.secured import secured_server

GROUP, VERSION, NAME = "wardle.example.com", "v1alpha1", "v1alpha1.wardle.example.com"
FLUNDER = Resource(
    group=GROUP,
    version=VERSION,
    kind="Flunder",
    plural="flunders",
    short_names=("fl",),
    definition="com.example.wardle.v1alpha1.Flunder",
    schema={"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}},
)
FLUNDERS = f"/apis/{GROUP}/{VERSION}/namespaces/default/flunders"
WHERE = {"name": "sample-api", "namespace": "wardle"}


class Behind:
    """`requests` are what came over the wire; `refuse` answers 500 to everything."""

    def __init__(self, keys: pki.Pki, folder: Path) -> None:
        clock = SystemClock()
        self.requests: list[Request] = []
        self.refuse = False
        self.storage = MemoryStorage()
        self.server = ApiServer(self.storage, Registry((core.NAMESPACE, FLUNDER)), clock)
        self.http = HttpServer(self._answer, clock, Limits())
        authority = pki.create_authority("wardle-ca", time.time())
        name = f"{WHERE['name']}.{WHERE['namespace']}.svc"
        pair = pki.issue_serving(authority, name, [name], time.time())
        (folder / "wardle.crt").write_bytes(pair.certificate)
        (folder / "wardle.key").write_bytes(pair.key)
        self.context = server_context(
            folder / "wardle.crt", folder / "wardle.key", keys.directory / "front-proxy-ca.crt"
        )
        self.bundle = base64.b64encode(authority.certificate).decode()
        self.port = 0

    async def _answer(self, request: Request) -> Response:
        self.requests.append(replace(request))  # as it came: the pipeline takes the identity out
        if self.refuse:
            return Response(500, b"{}")
        return await self.server._pipeline(request)

    async def start(self) -> None:
        await self.server.start()
        await self.server.objects.create(core.NAMESPACE, {"metadata": {"name": "default"}})
        self.port = await self.http.start("127.0.0.1", 0, self.context)

    async def stop(self) -> None:
        await self.http.drain(0)
        await self.server.stop()
        await self.storage.close()


async def _nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


class World:
    def __init__(self, server: ApiServer, behind: Behind, keys: pki.Pki) -> None:
        self.server = server
        self.keys = keys
        self.behind = behind
        self.client = LocalClient(server)
        self.objects = server.objects

    async def ask(
        self, method: str, path: str, body: Any = None, user: User | None = None, **headers: str
    ) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        sent = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        content = orjson.dumps(body) if body is not None else b""
        request = Request(method, path, Query(query), sent, content, raw_path=path)
        response = await self.server.answer(request, user or User("jane", ("system:masters",)))
        whole = response.body or b"".join([piece async for piece in response.stream or _nothing()])
        return response.status, orjson.loads(whole) if whole.startswith(b"{") else whole

    async def service(self) -> None:
        labels = {"kubernetes.io/service-name": WHERE["name"]}
        ports = [{"name": "", "port": 7443, "protocol": "TCP", "targetPort": self.behind.port}]
        service = {"metadata": dict(WHERE), "spec": {"ports": ports, "type": "ClusterIP", "clusterIP": "None"}}
        await self.objects.create(core.NAMESPACE, {"metadata": {"name": WHERE["namespace"]}})
        await self.objects.create(core.SERVICE, service)
        meta = {"name": "sample-api-1", "namespace": WHERE["namespace"], "labels": labels, "uid": "1"}
        slice_ = {
            "metadata": meta,
            "addressType": "IPv4",
            "ports": [{"name": "", "port": self.behind.port, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
        }
        # No client may write a loopback address: straight into the store.
        key = key_in_store(discovery.ENDPOINT_SLICE, WHERE["namespace"], "sample-api-1")
        value = encode(discovery.ENDPOINT_SLICE, slice_)
        await self.server.backend.storage.commit(Put(key, value), expect=ABSENT)

    async def register(self, **spec: Any) -> None:
        body = {
            "group": GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 2000,
            "versionPriority": 200,
            "service": {**WHERE, "port": 7443},
            "caBundle": self.behind.bundle,
            **spec,
        }
        metadata = {"name": NAME}
        await self.client.create(
            API_SERVICE,
            {"kind": "APIService", "apiVersion": API_SERVICE.api_version, "metadata": metadata, "spec": body},
        )

    async def condition(self, name: str, reason: str) -> dict[str, Any]:
        """Waits until the condition has this reason."""
        news = asyncio.Event()
        stop = self.objects.subscribe(API_SERVICE, lambda event, obj: news.set())
        try:
            while True:
                news.clear()
                service = self.objects.cached(API_SERVICE, name)
                found = condition_of(service, "Available") if service is not None else None
                if found is not None and found["reason"] == reason:
                    return found
                await asyncio.wait_for(news.wait(), 60)
        finally:
            stop()


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with secured_server(folder, SystemClock()) as secured:
        behind = Behind(secured.keys, folder)
        await behind.start()
        try:
            yield World(secured.server, behind, secured.keys)
        finally:
            await behind.stop()


def run(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with world(folder) as w:
            await scenario(w)

    asyncio.run(main())


def flunder(name: str) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": name}, "spec": {}}


def test_requests_are_handed_on_with_the_identity_of_who_asked(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.service()
        await w.register()
        assert (await w.condition(NAME, "Passed"))["message"] == "all checks passed"
        user = User("jané", ("system:masters", "a, b"), "u-1", {"Scopes/x": ("one", "two")})
        status, created = await w.ask(
            "POST", FLUNDERS, flunder("f"), user, x_remote_user="root", authorization="Bearer secret"
        )
        assert (status, created["kind"]) == (201, "Flunder")
        request = w.behind.requests[-1]
        assert request.certificate is not None
        headers = request.headers
        assert headers["x-remote-user"].encode("latin-1").decode() == "jané"
        assert headers["x-remote-group"] == "system:masters, a, b"
        assert headers["x-remote-uid"] == "u-1"
        assert headers["x-remote-extra-scopes%2fx"] == "one, two"
        assert "authorization" not in headers
        status, listed = await w.ask("GET", FLUNDERS)
        assert [item["metadata"]["name"] for item in listed["items"]] == ["f"]
        status, missing = await w.ask("GET", f"{FLUNDERS}/g")
        assert (status, missing["reason"]) == (404, "NotFound")

    run(tmp_path, scenario)


def test_who_may_not_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.service()
        await w.register()
        await w.condition(NAME, "Passed")
        before = len(w.behind.requests)
        status, answer = await w.ask("GET", FLUNDERS, None, User("jane", ("system:authenticated",)))
        assert status == 403
        assert answer["message"].startswith('flunders.wardle.example.com is forbidden: User "jane" cannot list')
        assert len(w.behind.requests) == before

    run(tmp_path, scenario)


def test_a_watch_streams(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.service()
        await w.register()
        await w.condition(NAME, "Passed")
        await w.ask("POST", FLUNDERS, flunder("f"))
        events = []
        async for event in w.client.watch(FLUNDER, "default", resource_version="0"):
            events.append((event.type.value, event.object["metadata"]["name"]))
            if len(events) == 2:
                break
            await w.ask("POST", FLUNDERS, flunder("g"))
        assert events == [("ADDED", "f"), ("ADDED", "g")]

    run(tmp_path, scenario)


def test_why_a_service_is_not_available(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.register()
        found = await w.condition(NAME, "ServiceNotFound")
        assert found["message"] == 'service/sample-api in "wardle" is not present'
        assert await w.ask("GET", FLUNDERS) == (503, b"service unavailable\n")
        await w.service()
        await w.condition(NAME, "Passed")
        await w.objects.delete(discovery.ENDPOINT_SLICE, "sample-api-1", "wardle")
        found = await w.condition(NAME, "EndpointsNotFound")
        assert found["message"] == 'cannot find endpointslices for service/sample-api in "wardle"'

    run(tmp_path, scenario)


def test_what_is_not_available_is_measured_under_upstreams_names(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.service()
        await w.register()
        await w.condition(NAME, "Passed")
        gauge, lost = f'aggregator_unavailable_apiservice{{name="{NAME}"}}', "aggregator_unavailable_apiservice_total{"
        text = w.server.metrics.render().body.decode()
        assert f"{gauge} 0\n" in text
        assert 'aggregator_unavailable_apiservice{name="v1."} 0\n' in text
        assert lost not in text
        await w.objects.delete(discovery.ENDPOINT_SLICE, "sample-api-1", "wardle")
        await w.condition(NAME, "EndpointsNotFound")
        text = w.server.metrics.render().body.decode()
        assert f"{gauge} 1\n" in text
        assert f'{lost}name="{NAME}",reason="EndpointsNotFound"}} 1\n' in text

    run(tmp_path, scenario)


def test_a_server_that_fails_or_is_not_trusted_fails_the_discovery_check(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        w.behind.refuse = True
        await w.service()
        await w.register()
        found = await w.condition(NAME, "FailedDiscoveryCheck")
        assert "bad status" in found["message"]
        w.behind.refuse = False
        await w.client.patch(API_SERVICE, NAME, {"spec": {"versionPriority": 400}})
        await w.condition(NAME, "Passed")
        other = base64.b64encode(pki.create_authority("other", time.time()).certificate).decode()
        await w.client.patch(API_SERVICE, NAME, {"spec": {"caBundle": other}})
        assert "signed by unknown authority" in (await w.condition(NAME, "FailedDiscoveryCheck"))["message"]
        await w.client.patch(API_SERVICE, NAME, {"spec": {"caBundle": None, "insecureSkipTLSVerify": True}})
        await w.condition(NAME, "Passed")

    run(tmp_path, scenario)


DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_discovery_and_openapi_are_merged(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.service()
        await w.register()
        await w.condition(NAME, "Passed")
        _, groups = await w.ask("GET", "/apis", accept=DISCOVERY)
        names = [item["metadata"]["name"] for item in groups["items"]]
        assert names.index(GROUP) == len(names) - 2  # before metrics.k8s.io, which asks for less
        (version,) = next(item for item in groups["items"] if item["metadata"]["name"] == GROUP)["versions"]
        assert (version["freshness"], version["resources"][0]["resource"]) == ("Current", "flunders")
        _, listed = await w.ask("GET", "/apis")
        assert GROUP in [group["name"] for group in listed["groups"]]
        assert (await w.ask("GET", f"/apis/{GROUP}"))[1]["preferredVersion"]["version"] == VERSION
        assert (await w.ask("GET", f"/apis/{GROUP}/{VERSION}"))[1]["resources"][0]["name"] == "flunders"
        _, index = await w.ask("GET", "/openapi/v3")
        entry = index["paths"][f"apis/{GROUP}/{VERSION}"]
        _, document = await w.ask("GET", entry["serverRelativeURL"])
        assert f"{FLUNDERS.replace('default', '{namespace}')}" in document["paths"]
        _, swagger = await w.ask("GET", "/openapi/v2")
        assert f"{FLUNDERS.replace('default', '{namespace}')}" in swagger["paths"]
        assert "/api/v1/namespaces/{namespace}/pods" in swagger["paths"]
        assert FLUNDER.definition in swagger["definitions"]
        await w.objects.delete(discovery.ENDPOINT_SLICE, "sample-api-1", "wardle")
        await w.condition(NAME, "EndpointsNotFound")
        _, groups = await w.ask("GET", "/apis", accept=DISCOVERY)
        (version,) = next(item for item in groups["items"] if item["metadata"]["name"] == GROUP)["versions"]
        assert (version["freshness"], version["resources"][0]["resource"]) == ("Stale", "flunders")
        await w.client.delete(API_SERVICE, NAME)
        await w.server.cache.caught_up()
        _, listed = await w.ask("GET", "/apis")
        assert GROUP not in [group["name"] for group in listed["groups"]]
        assert (await w.ask("GET", FLUNDERS))[0] == 404

    run(tmp_path, scenario)


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}


def test_what_is_served_here_has_local_services(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        assert (await w.condition("v1.apps", "Local"))["message"] == "Local APIServices are always available"
        apps = await w.objects.get(API_SERVICE, "v1.apps")
        assert apps["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
        assert apps["spec"] == {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
        await w.condition("v1.", "Local")
        metrics = await w.condition("v1beta1.metrics.k8s.io", "Local")
        assert metrics["status"] == "True"
        await w.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION)
        await w.condition("v1.example.com", "Local")
        first = await w.objects.get(API_SERVICE, "v1.example.com")
        assert first["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
        await w.client.delete(API_SERVICE, "v1.example.com")
        await w.server.cache.caught_up()
        await w.condition("v1.example.com", "Local")
        again = await w.objects.get(API_SERVICE, "v1.example.com")
        assert again["metadata"]["uid"] != first["metadata"]["uid"]
        gone = asyncio.Event()
        w.objects.subscribe(API_SERVICE, lambda event, obj: gone.set() if event == "DELETED" else None)
        await w.client.delete(API_SERVICE, "v1.apps")  # not kept for ever
        await w.ask("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com")
        while w.objects.cached(API_SERVICE, "v1.example.com") is not None:
            gone.clear()
            await asyncio.wait_for(gone.wait(), 60)
        assert (await w.ask("GET", "/apis/apps/v1/deployments"))[0] == 200

    run(tmp_path, scenario)


def test_metrics_can_be_taken_over_and_given_back(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        name, path = "v1beta1.metrics.k8s.io", "/apis/metrics.k8s.io/v1beta1/nodes"
        await w.condition(name, "Local")
        assert (await w.ask("GET", path))[1]["kind"] == "NodeMetricsList"
        await w.client.patch(API_SERVICE, name, {"spec": {"service": WHERE, "insecureSkipTLSVerify": True}})
        await w.condition(name, "ServiceNotFound")
        assert await w.ask("GET", path) == (503, b"service unavailable\n")
        await w.client.patch(API_SERVICE, name, {"spec": {"service": None, "insecureSkipTLSVerify": None}})
        await w.condition(name, "Local")
        assert (await w.ask("GET", path))[1]["kind"] == "NodeMetricsList"

    run(tmp_path, scenario)


def test_an_upgrade_is_passed_through_with_the_identity(tmp_path: Path) -> None:
    async def scenario(w: World) -> None:
        await w.service()
        await w.register()
        await w.condition(NAME, "Passed")
        heads: list[str] = []

        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            writer.write((await reader.readexactly(4)).upper())
            await writer.drain()
            writer.close()

        await w.behind.http.drain(0)
        backend = await asyncio.start_server(echo, "127.0.0.1", w.behind.port, ssl=w.behind.context)
        admin = pki.ensure_client(tmp_path / "admin", w.keys.authority, "jane", ("system:masters",), time.time())
        assert admin.certificate
        tls = server_context(tmp_path / "apiserver.crt", tmp_path / "apiserver.key", tmp_path / "ca.crt")
        port = await w.server.serve("127.0.0.1", 0, tls)
        client = ssl.create_default_context(cafile=tmp_path / "ca.crt")
        client.load_cert_chain(tmp_path / "admin.crt", tmp_path / "admin.key")
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
        headers = "Host: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Remote-User: root\r\n"
        writer.write(f"GET {FLUNDERS}/f/attach HTTP/1.1\r\n{headers}\r\nping".encode())
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        backend.close()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert answer.endswith(b"PING")
        (head,) = heads
        assert "x-remote-user: jane\r\nx-remote-group: system:masters\r\n" in head
        assert "root" not in head
        assert head.startswith(f"GET {FLUNDERS}/f/attach HTTP/1.1\r\n")

    run(tmp_path, scenario)
