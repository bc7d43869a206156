"""The HTTP client against a small server of our own on the loopback, over plain TCP and TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.core import NODE, POD
from kajitori.api.errors import Conflict, Expired, Gone, NotFound, ServiceUnavailable
from kajitori.client.http import HttpClient
from kajitori.client.interface import Disconnected, PatchType, WatchEventType
from kajitori.client.kubeconfig import ClusterAccess
from kajitori.client.transport import TransportSettings
from kajitori.kit.clock import SystemClock, VirtualClock

Handler = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class Request:
    def __init__(self, line: str, headers: dict[str, str], body: bytes, connection: int) -> None:
        self.method, self.target, _ = line.split(" ")
        self.headers = headers
        self.body = body
        self.connection = connection


class Server:
    """Answers with what `handler` writes; remembers every request and the connection it came on."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.requests: list[Request] = []
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self.writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, value in (part.split(": ", 1) for part in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Request(line, headers, body, number)
                self.requests.append(request)
                await self.handler(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answer(document: object, status: str = "200 OK") -> bytes:
    body = orjson.dumps(document)
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def replying(*answers: bytes) -> Handler:
    left = list(answers)

    async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])

    return handle


@asynccontextmanager
async def serving(handler: Handler, *, settings=None, clock=None, **access):
    server = Server(handler)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    given = ClusterAccess(server=f"http://127.0.0.1:{port}", **access)
    client = HttpClient(given, clock or SystemClock(), "tests", settings)
    try:
        yield server, client
    finally:
        await client.close()
        listening.close()
        for writer in server.writers:
            writer.close()


def ask(handler: Handler, call, **options) -> tuple[Server, object]:
    async def main():
        async with serving(handler, **options) as (server, client):
            return server, await call(client)

    return asyncio.run(main())


async def until(condition: Callable[[], object]) -> None:
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


POD_A = {"metadata": {"name": "a", "namespace": "web", "resourceVersion": "7"}}


def test_get_asks_for_the_objects_path():
    server, got = ask(replying(answer(POD_A)), lambda c: c.get(POD, "a", "web"), token="secret")
    assert got == POD_A
    request = server.requests[0]
    assert (request.method, request.target) == ("GET", "/api/v1/namespaces/web/pods/a")
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["accept"] == "application/json"


def test_list_fills_in_kind_and_keeps_the_continue_token():
    listing = {"kind": "PodList", "metadata": {"resourceVersion": "9", "continue": "next"}, "items": [POD_A]}
    call = lambda c: c.list(POD, label_selector="app=web,tier!=db", limit=1)  # noqa: E731
    server, page = ask(replying(answer(listing)), call)
    assert page.items[0]["kind"] == "Pod" and page.items[0]["apiVersion"] == "v1"
    assert (page.resource_version, page.continue_token) == ("9", "next")
    assert server.requests[0].target == "/api/v1/pods?labelSelector=app%3Dweb%2Ctier%21%3Ddb&limit=1"


def test_an_empty_list_may_leave_items_null():
    _, page = ask(replying(answer({"metadata": {"resourceVersion": "3"}, "items": None})), lambda c: c.list(NODE))
    assert page.items == []


def test_create_goes_to_the_objects_own_namespace():
    server, _ = ask(replying(answer(POD_A, "201 Created")), lambda c: c.create(POD, POD_A))
    assert server.requests[0].target == "/api/v1/namespaces/web/pods"
    assert orjson.loads(server.requests[0].body) == POD_A


def test_create_of_a_subresource_names_its_parent():
    binding = {"metadata": {"name": "a"}, "target": {"name": "node-1"}}
    call = lambda c: c.create(POD, binding, "web", name="a", subresource="binding")  # noqa: E731
    server, _ = ask(replying(answer({}, "201 Created")), call)
    assert server.requests[0].target == "/api/v1/namespaces/web/pods/a/binding"


def test_update_of_a_status_is_a_put():
    server, _ = ask(replying(answer(POD_A)), lambda c: c.update(POD, POD_A, subresource="status"))
    assert (server.requests[0].method, server.requests[0].target) == ("PUT", "/api/v1/namespaces/web/pods/a/status")


def test_apply_says_who_and_whether_to_force():
    call = lambda c: c.patch(  # noqa: E731
        DEPLOYMENT, "web", {"spec": {}}, "web", patch_type=PatchType.APPLY, field_manager="tests", force=True
    )
    server, _ = ask(replying(answer({})), call)
    request = server.requests[0]
    assert request.target == "/apis/apps/v1/namespaces/web/deployments/web?fieldManager=tests&force=true"
    assert request.headers["content-type"] == "application/apply-patch+yaml"


def test_delete_sends_its_options_as_a_body():
    call = lambda c: c.delete(POD, "a", "web", grace_period_s=0, propagation="Background", uid="u")  # noqa: E731
    server, _ = ask(replying(answer({"kind": "Status"})), call)
    assert orjson.loads(server.requests[0].body) == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
        "preconditions": {"uid": "u"},
    }


def test_a_status_becomes_its_exception():
    refusal = Conflict.modified("apps", "deployments", "web")
    with pytest.raises(Conflict, match="has been modified"):
        ask(replying(answer(refusal.status(), "409 Conflict")), lambda c: c.update(DEPLOYMENT, POD_A))


def test_a_refusal_that_is_no_status_says_what_came():
    text = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nno leader"
    with pytest.raises(ServiceUnavailable, match="no leader"):
        ask(replying(text), lambda c: c.get(POD, "a", "web"))


def test_a_custom_not_found_without_a_body():
    with pytest.raises(NotFound, match="answered 404"):
        ask(replying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), lambda c: c.get(POD, "a", "web"))


def test_something_that_is_no_http_is_a_disconnection():
    with pytest.raises(Disconnected, match="not an HTTP answer"):
        ask(replying(b"SSH-2.0-OpenSSH_9.2\r\n"), lambda c: c.get(POD, "a", "web"))


def test_a_refused_connection_names_the_address():
    async def main():
        client = HttpClient(ClusterAccess(server="http://127.0.0.1:1"), SystemClock())
        await client.get(POD, "a", "web")

    with pytest.raises(Disconnected, match=r"127\.0\.0\.1:1: cannot connect"):
        asyncio.run(main())


def test_requests_in_a_row_share_a_connection():
    async def twice(client):
        await client.get(POD, "a", "web")
        await client.get(POD, "a", "web")

    server, _ = ask(replying(answer(POD_A)), twice)
    assert server.connections == 1


def test_connections_are_bounded():
    async def main():
        gate = asyncio.Event()

        async def handle(request, writer):
            await gate.wait()
            writer.write(answer(POD_A))

        async with serving(handler=handle, settings=TransportSettings(connections=2)) as (server, client):
            calls = [asyncio.ensure_future(client.get(POD, "a", "web")) for _ in range(6)]
            await until(lambda: len(server.requests) == 2)
            gate.set()
            await asyncio.gather(*calls)
            assert server.connections == 2

    asyncio.run(main())


def test_a_kept_connection_that_died_is_replaced_for_a_read():
    async def main():
        async with serving(replying(answer(POD_A))) as (server, client):
            await client.get(POD, "a", "web")
            server.writers[0].transport.abort()
            assert await client.get(POD, "a", "web") == POD_A
            assert server.connections == 2

    asyncio.run(main())


def test_a_silent_server_is_given_up_on():
    async def main():
        async def silent(request, writer):
            await asyncio.get_running_loop().create_future()

        clock = VirtualClock()
        async with serving(silent, clock=clock, settings=TransportSettings(timeout_s=5)) as (server, client):
            call = asyncio.ensure_future(client.get(POD, "a", "web"))
            await until(lambda: server.requests)
            await clock.advance(5)
            with pytest.raises(Disconnected, match="no answer within 5 s"):
                await call

    asyncio.run(main())


def test_an_answer_that_breaks_off_is_a_disconnection():
    async def cut(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        writer.close()

    with pytest.raises(Disconnected, match="closed the connection"):
        ask(cut, lambda c: c.get(POD, "a", "web"))


def event(kind: str, obj: object) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def watching(*pieces: bytes):
    async def handle(request, writer):
        writer.write(STREAM + b"".join(chunk(piece) for piece in pieces) + b"0\r\n\r\n")

    async def collect(client):
        return [e async for e in client.watch(POD, "web", resource_version="5", field_selector="spec.nodeName=n1")]

    return ask(handle, collect)


def test_a_watch_yields_events_however_they_are_cut():
    whole = event("ADDED", POD_A) + event("DELETED", POD_A) + event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    server, events = watching(whole[:10], whole[10:150], whole[150:])
    assert [e.type for e in events] == [WatchEventType.ADDED, WatchEventType.DELETED, WatchEventType.BOOKMARK]
    assert events[0].object["kind"] == "Pod"
    query = "watch=true&allowWatchBookmarks=true&resourceVersion=5&fieldSelector=spec.nodeName%3Dn1"
    assert server.requests[0].target == f"/api/v1/namespaces/web/pods?{query}"


def test_an_error_event_is_raised():
    with pytest.raises(Expired, match="too old"):
        watching(event("ERROR", Expired("too old resource version").status()))


def test_a_refused_watch_is_raised():
    with pytest.raises(Gone):
        ask(replying(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), lambda c: _first(c))


async def _first(client):
    async for found in client.watch(POD, resource_version="1"):
        return found


def test_leaving_a_watch_closes_its_connection():
    async def main():
        async def endless(request, writer):
            writer.write(STREAM + chunk(event("ADDED", POD_A)))

        async with serving(endless) as (server, client):
            stream = client.watch(POD, resource_version="1")
            await anext(stream)
            await stream.aclose()
            await until(lambda: server.writers[0].is_closing())

    asyncio.run(main())


def test_a_slow_reader_holds_the_server_back():
    async def main():
        sent = 0

        async def flood(request, writer):
            nonlocal sent
            writer.write(STREAM)
            line = chunk(event("ADDED", {"metadata": {"name": "x" * 60_000}}))
            for _ in range(2_000):
                writer.write(line)
                await writer.drain()
                sent += len(line)

        async with serving(flood) as (_, client):
            stream = client.watch(POD, resource_version="1")
            await anext(stream)
            before = -1
            while before != sent:
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert sent < 60_000 * 2_000
            await stream.aclose()

    asyncio.run(main())


def test_a_token_file_is_read_again_as_it_rotates(tmp_path: Path):
    async def main():
        file = tmp_path / "token"
        file.write_text("one\n")
        clock = VirtualClock()
        async with serving(replying(answer(POD_A)), clock=clock, token_file=str(file)) as (server, client):
            await client.get(POD, "a", "web")
            file.write_text("two\n")
            await client.get(POD, "a", "web")
            await clock.advance(61)
            await client.get(POD, "a", "web")
            assert [r.headers["authorization"] for r in server.requests] == ["Bearer one", "Bearer one", "Bearer two"]

    asyncio.run(main())


def tls_call(authority, tmp_path: Path, **access):
    async def main():
        seen = []

        async def handle(request, writer):
            seen.append(writer.get_extra_info("peercert"))
            writer.write(answer(POD_A))

        certificate, key = authority.issue("server", ("127.0.0.1",))
        (tmp_path / "server.pem").write_bytes(certificate + key)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.certificate.decode())
        context.load_cert_chain(tmp_path / "server.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        listening = await asyncio.start_server(Server(handle).serve, "127.0.0.1", 0, ssl=context)
        port = listening.sockets[0].getsockname()[1]
        client = HttpClient(ClusterAccess(server=f"https://127.0.0.1:{port}", **access), SystemClock())
        try:
            await client.get(POD, "a", "web")
        finally:
            await client.close()
            listening.close()
        return seen[0]

    return asyncio.run(main())


def test_tls_shows_the_client_certificate(tmp_path: Path, make_authority):
    authority = make_authority()
    certificate, key = authority.issue("kubernetes-admin")
    access = {"certificate_authority": authority.certificate, "client_certificate": certificate, "client_key": key}
    peer = tls_call(authority, tmp_path, **access)
    assert peer["subject"] == ((("commonName", "kubernetes-admin"),),)


def test_tls_refuses_a_server_of_another_authority(tmp_path: Path, make_authority):
    with pytest.raises(Disconnected, match="certificate is not trusted"):
        tls_call(make_authority(), tmp_path, certificate_authority=make_authority().certificate)


def test_tls_can_be_told_not_to_verify(tmp_path: Path, make_authority):
    assert tls_call(make_authority(), tmp_path, insecure_skip_tls_verify=True) in (None, {})
