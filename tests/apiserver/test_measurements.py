"""What the server's parts count, under upstream's names and labels."""

import asyncio
import re

import uvloop

from kajitori.api.core import CONFIG_MAP
from kajitori.api.errors import Unauthorized
from kajitori.apiserver.extension import ADMIN, Extension
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http_types import Query, Request, Response
from kajitori.apiserver.interfaces import ANONYMOUS, User, Verdict
from kajitori.apiserver.metrics import Metrics
from kajitori.kit.clock import SystemClock
from kajitori.testing.cluster import ControlPlane

OF_MAPS = 'group="",resource="configmaps"'


def samples(metrics: Metrics) -> dict[str, float]:
    lines = metrics.render().body.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_what_the_cache_and_the_store_tell_is_counted(in_cluster):
    async def scenario(plane):
        response = await plane.server.answer(Request("GET", "/api/v1/configmaps", Query("watch=1")), ADMIN)
        response.source.start(_Sink())
        for name in "abc":
            await plane.client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": "default"}})
        await plane.settle()
        found = samples(plane.server.metrics)
        assert found[f"apiserver_watch_cache_events_received_total{{{OF_MAPS}}}"] == 3
        assert found[f"apiserver_storage_events_received_total{{{OF_MAPS}}}"] == 3
        assert found[f'apiserver_watch_events_total{{{OF_MAPS},version="v1"}}'] == 3
        assert found[f'apiserver_watch_events_sizes_bucket{{{OF_MAPS},version="v1",le="1024"}}'] == 3
        assert found[f"apiserver_watch_cache_resource_version{{{OF_MAPS}}}"] == plane.server.cache.revision
        assert found[f"watch_cache_capacity{{{OF_MAPS}}}"] > 0
        held = sum(len(entry.body) for entry in plane.server.cache.kind(CONFIG_MAP).range())
        assert found[f"apiserver_resource_size_estimate_bytes{{{OF_MAPS}}}"] == held > 0
        assert found['version_info{binary="1.36.2",component="kube",emulation="1.36",min_compat="1.35"}'] == 1
        assert found["apiserver_tls_handshake_errors_total"] == 0

    in_cluster(scenario)


def test_watches_are_counted_by_scope(in_cluster):
    async def scenario(plane):
        one = "watch=1&fieldSelector=metadata.name%3Da"
        for path, query in (("", "watch=1"), ("namespaces/default/", "watch=1"), ("namespaces/default/", one)):
            for _ in range(2):
                request = Request("GET", f"/api/v1/{path}configmaps", Query(query))
                (await plane.server.answer(request, ADMIN)).source.start(_Sink())
        await plane.settle()
        found = samples(plane.server.metrics)
        for scope in ("cluster", "namespace", "resource"):
            labels = f'group="",version="v1",resource="configmaps",scope="{scope}"'
            rest = 'verb="WATCH",subresource="",component="apiserver"'
            assert found[f"apiserver_longrunning_requests{{{rest},{labels}}}"] == 2

    in_cluster(scenario)


class _Sink:
    writable = True

    def write(self, chunk):
        pass

    def end(self):
        pass


class _Door:
    """Knows who brings the token `jane`, after a second; she may read, and nothing else."""

    def __init__(self, clock):
        self.clock = clock

    def known(self, credentials):
        return None if credentials.bearer_token else ANONYMOUS

    async def authenticate(self, credentials):
        await self.clock.sleep(1.0)
        if credentials.bearer_token != "jane":
            raise Unauthorized()
        return User("jane")

    def authorize(self, attributes):
        if attributes.user.name != "jane":
            return Verdict.NO_OPINION, ""
        return (Verdict.ALLOW if attributes.verb == "list" else Verdict.DENY), ""


def test_who_was_known_and_what_was_allowed_is_counted():
    async def main():
        async with ControlPlane() as plane:
            door = _Door(plane.clock)
            plane.server.install(Extension(authenticator=door, authorizer=door))

            async def ask(token, method="GET"):
                headers = {"authorization": f"Bearer {token}"} if token else {}
                asking = asyncio.create_task(
                    plane.server._pipeline(Request(method, "/api/v1/configmaps", Query(), headers))
                )
                await plane.clock.advance(2)
                return (await asking).status

            before = samples(plane.server.metrics)
            asked = [await ask("jane"), await ask("eve"), await ask(""), await ask("jane", "DELETE")]
            assert asked == [200, 401, 403, 403]
            found = samples(plane.server.metrics)

            def more(name):
                return found.get(name, 0) - before.get(name, 0)

            assert more('authorization_attempts_total{result="allowed"}') == 1
            assert more('authorization_attempts_total{result="denied"}') == 1
            assert more('authorization_attempts_total{result="no-opinion"}') == 1
            assert more('authentication_duration_seconds_count{result="success"}') == 3
            took = 'authentication_duration_seconds_bucket{result="success",le="0.512"}'
            assert more(took) == 1  # the anonymous one; she who had to be looked for took a second

    asyncio.run(main())


def test_who_hangs_up_before_the_answer_is_counted(in_cluster):
    async def scenario(plane):
        begun = asyncio.Event()

        async def slow(context):
            begun.set()
            await asyncio.Event().wait()

        plane.server.install(Extension(handlers={("", "configmaps", ""): slow}))
        asking = asyncio.create_task(plane.server.answer(Request("GET", "/api/v1/configmaps"), ADMIN))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        (name,) = [name for name in samples(plane.server.metrics) if name.startswith("apiserver_request_aborts_total")]
        assert re.search(
            r'verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="cluster"', name
        )

    in_cluster(scenario)


def test_deprecated_kinds_that_are_asked_for_are_shown(in_cluster):
    async def scenario(plane):
        shown = 'apiserver_requested_deprecated_apis{group="",version="v1",resource="endpoints",subresource="",'
        assert not any(name.startswith(shown) for name in samples(plane.server.metrics))
        await plane.client.raw("GET", "/api/v1/endpoints")
        assert samples(plane.server.metrics)[f'{shown}removed_release=""}}'] == 1

    in_cluster(scenario)


def test_handshakes_that_fail_are_counted(tmp_path):
    from kajitori.apiserver import pki
    from kajitori.apiserver.http.tls import server_context

    clock = SystemClock()
    authority = pki.create_authority("ours", clock.now())
    pair = pki.issue_serving(authority, "server", ["127.0.0.1"], clock.now())
    (tmp_path / "s.crt").write_bytes(pair.certificate)
    (tmp_path / "s.key").write_bytes(pair.key)

    async def application(request):
        return Response(200, b"")

    async def main():
        server = HttpServer(application, clock, Limits(handshake_timeout_s=60))
        port = await server.start("127.0.0.1", 0, server_context(tmp_path / "s.crt", tmp_path / "s.key"))
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.read()
            writer.close()
        assert server._accepted == 3
        assert server._made == 0
        for connection in list(server._shaking):  # forgotten by whoever made them, sooner or later
            server._shaking.discard(connection)
        assert server.failed_handshakes == 3
        await server.drain(1)

    uvloop.run(main())
