"""What one GET costs inside the API server, stage by stage, in microseconds of CPU.

    python -m bench.reads [--count N]

A whole server runs in this process (RBAC, priority and fairness), and a connection is fed the bytes of a request with a
bearer token, as a client that keeps its connection sends them again and again. TLS and the kernel are not counted.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import uvloop

from bench.writes import NAMESPACE, ROUNDS, USER, Stages, at_once, running
from kajitori.api import core
from kajitori.apiserver.http import encoding
from kajitori.apiserver.http.incoming import Incoming
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.protocol import HttpConnection
from kajitori.apiserver.http.repeated import head_of
from kajitori.apiserver.http_types import Headers, Request, RequestContext, Response
from kajitori.apiserver.interfaces import Attributes, Credentials
from kajitori.apiserver.request_info import request_info
from kajitori.apiserver.rest import reading
from kajitori.apiserver.server import ApiServer

TARGET = f"/api/v1/namespaces/{NAMESPACE}/configmaps/one"


class _Discard(asyncio.Transport):
    """A transport that takes everything and sends nothing."""

    def write(self, data: Any) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class _Server:
    """What a connection needs around it."""

    draining = False

    def __init__(self, server: ApiServer) -> None:
        self.application = server._pipeline
        self.clock, self.limits = server.clock, Limits()
        self.date, self.frame = encoding.DateHeader(server.clock.now), encoding.chunk

    def opened(self, connection: HttpConnection) -> bool:
        return True

    def closed(self, connection: HttpConnection) -> None:
        pass


def _request(token: str) -> bytes:
    lines = f"Host: bench\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
    return f"GET {TARGET} HTTP/1.1\r\n{lines}\r\n".encode()


def one_by_one(server: ApiServer, data: bytes, token: str, count: int, stages: Stages) -> None:
    """The steps of an answer, one after the other."""
    first = Incoming()
    first.method, first.body = "GET", []
    first.headers = Headers({"authorization": f"Bearer {token}", "accept": "application/json"})
    known = head_of(data, first)
    assert known is not None, "a plain GET can be recognised again"
    connection = HttpConnection(_Server(server))
    extension, flow_control, date = server.extension, server._flow, encoding.DateHeader(server.clock.now)
    credentials = Credentials(None, token)
    for _ in range(count):
        incoming = stages("the head, compared", known.match, data)
        assert incoming is not None
        request = stages("the request", connection._request, incoming)
        info = stages("what is asked for", request_info, request.method, request.path, request.query)
        user = stages("who asks", extension.authenticator.known, credentials)
        assert user is not None
        attributes = Attributes(user, info.verb, info.group, info.version, info.resource, "", info.namespace, info.name)
        stages("whether they may", extension.authorizer.authorize, attributes)
        flow = stages("flow, entered and left", flow_control.flow_of, attributes)
        stages("flow, entered and left", flow_control.enter, flow, 1, False)
        stages("flow, entered and left", flow_control.leave, flow, 1, False, None)
        context = RequestContext(request, user, attributes, core.CONFIG_MAP)
        response = stages("the object", lambda asked: at_once(reading.get(server.backend, asked)), context)
        stages("metrics", server.metrics.observe, info, core.CONFIG_MAP, response, 0.0)
        stages("the answer's head", _head, response, date)
    stages.end_round(count)


def _head(response: Response, date: encoding.DateHeader) -> bytes:
    return encoding.head(response, date.line(), b"Content-Length: 400\r\n", close=False)


def whole(server: ApiServer, data: bytes, count: int) -> float:
    """Microseconds of CPU for one request that comes as bytes and is answered."""
    connection = HttpConnection(_Server(server))
    connection.connection_made(_Discard())
    connection.data_received(data)
    started_ns = time.thread_time_ns()
    for _ in range(count):
        connection.data_received(data)
    return (time.thread_time_ns() - started_ns) / count / 1e3


async def _token(server: ApiServer) -> str:
    """Of the benchmark's user, who is a service account."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "bench", "namespace": NAMESPACE}}
    await server.objects.create(core.SERVICE_ACCOUNT, account)
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/bench/token"
    body = orjson.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    answer = await server.answer(Request("POST", path, headers={"content-type": "application/json"}, body=body), USER)
    return str(orjson.loads(answer.body)["status"]["token"])


async def _measure(count: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory)) as server:
            document = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "x" * 200}}
            await server.objects.create(
                core.CONFIG_MAP, {**document, "metadata": {"name": "one", "namespace": NAMESPACE}}
            )
            await server.cache.caught_up()
            token = await _token(server)
            data, stages = _request(token), Stages()
            await server.extension.authenticator.authenticate(Credentials(None, token))
            for _ in range(ROUNDS):
                one_by_one(server, data, token, count, stages)
            whole_us = min(whole(server, data, count) for _ in range(ROUNDS))
    for name, spent_us in stages.best_us.items():
        print(f"  {name:32} {spent_us:8.1f} us")
    print(f"  {'together':32} {sum(stages.best_us.values()):8.1f} us")
    print(f"  {'a whole GET, bytes to bytes':32} {whole_us:8.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    uvloop.run(_measure(parser.parse_args().count))


if __name__ == "__main__":
    main()
