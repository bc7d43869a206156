"""Ingress on a real Envoy: every change under load, in a network namespace made for the test."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from fixed_api import FixedApi, eventually, sh
from one_node import in_own_namespaces

from kajitori.api.core import SECRET, SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.api.networking import INGRESS, INGRESS_CLASS
from kajitori.client.cache import Cache
from kajitori.kit.clock import SystemClock
from kajitori.network.ingress.controller import IngressConfig, IngressController

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

BACKEND = """
import asyncio, signal, sys
name, address, patience_s = sys.argv[1].encode(), sys.argv[2], float(sys.argv[3])
async def serve(reader, writer):
    # Keeps connections alive, and on SIGTERM finishes what it has begun, as a well-behaved server does.
    idle.add(writer)
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            idle.discard(writer)
            if b"upgrade: websocket" in head.lower():
                writer.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\n")
                writer.write(b"Connection: Upgrade\\r\\n\\r\\n")
                while data := await reader.read(100): writer.write(name + b":" + data)
                return
            for line in head.lower().split(b"\\r\\n"):
                if line.startswith(b"content-length:"): await reader.readexactly(int(line.split(b":")[1]))
            await asyncio.sleep(0.005)
            body = name if b"/headers" not in head else head
            last = b"Connection: close\\r\\n" if stopping else b""
            writer.write(b"HTTP/1.1 200 OK\\r\\n" + last + b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
            await writer.drain()
            if stopping: return
            idle.add(writer)
    except (asyncio.IncompleteReadError, ConnectionError): pass
    finally: idle.discard(writer); writer.close()
idle, stopping = set(), False
async def main():
    global stopping
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    server = await asyncio.start_server(serve, address, 8080)
    print("up", flush=True)
    await done.wait()
    stopping = True
    await asyncio.sleep(patience_s)
    server.close()
    for writer in list(idle): writer.close()
    await asyncio.sleep(0.2)
asyncio.run(main())
"""


class Backends:
    """Servers on loopback addresses, behind one Service with an Ingress."""

    def __init__(self) -> None:
        self.api = FixedApi()
        self.running: dict[str, subprocess.Popen[str]] = {}

    def start(self, name: str, address: str, patience_s: float = 0.0) -> None:
        """`patience_s`: how long it serves on after SIGTERM before it closes idle connections."""
        command = [sys.executable, "-c", BACKEND, name, address, str(patience_s)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        self.running[address] = process

    def stop(self, address: str) -> None:
        process = self.running.pop(address)
        process.terminate()
        process.wait()

    def publish(self) -> None:
        """Ready endpoints are the servers that run."""
        meta = {"namespace": "shop", "name": "web", "labels": {"kubernetes.io/service-name": "web"}}
        endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in sorted(self.running)]
        ports = [{"name": "http", "port": 8080}]
        document = {"metadata": meta, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}
        self.api.put(ENDPOINT_SLICE, document)

    def declare(self) -> None:
        self.api.put(INGRESS_CLASS, {"metadata": {"name": "kajitori"}, "spec": {"controller": "kajitori.io/ingress"}})
        self.api.put(
            SERVICE,
            {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}]}},
        )
        self.publish()
        self.add_ingress("web", "shop.test", tls=[{"hosts": ["shop.test"], "secretName": "cert"}])

    def add_ingress(self, name: str, host: str, **spec: Any) -> None:
        path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
        rules = [{"host": host, "http": {"paths": [path]}}]
        document = {
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"ingressClassName": "kajitori", "rules": rules, **spec},
        }
        self.api.put(INGRESS, document)


class Load:
    """Clients with connections of their own that ask without pause; every answer but 200 is remembered."""

    def __init__(self, *methods: str) -> None:
        self.methods = methods
        self.served: dict[str, int] = {}
        self.failures: list[str] = []
        self._stopping = False

    async def client(self, method: str) -> None:
        request = f"{method} / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 2\r\n\r\nhi".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        while not self._stopping:
            try:
                writer.write(request)
                head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
                length = int(
                    next(x.split(":")[1] for x in head.lower().split("\r\n") if x.startswith("content-length"))
                )
                body = (await reader.readexactly(length)).decode()
            except (OSError, EOFError, TimeoutError) as error:
                self.failures.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", 80)
                continue
            if " 200 " in head:
                self.served[body] = self.served.get(body, 0) + 1
            else:
                self.failures.append(head.split("\r\n")[0] + " " + body)
        writer.close()

    async def during(self, change: Awaitable[None]) -> None:
        self._stopping = False
        clients = [asyncio.create_task(self.client(method)) for _ in range(4) for method in self.methods]
        await change
        self._stopping = True
        await asyncio.gather(*clients)


def test_ingress_serves_through_every_change_without_losing_a_request(tmp_path: Path) -> None:
    async def main() -> None:
        backends, clock = Backends(), SystemClock()
        for name, address in (("a", "127.0.1.1"), ("b", "127.0.1.2")):
            backends.start(name, address)
        backends.declare()
        put_certificate(backends.api, "cert", "shop.test")
        config = IngressConfig(tmp_path / "envoy", status_addresses=("10.89.0.1",), settle_s=0.3)
        controller, tasks = start_controller(config, backends.api, clock)
        try:
            await until_ready(controller, tasks)
            await check_requests(backends)
            await check_rolling_update(backends)
            await check_hosts_come_and_go(backends)
            await check_websocket(backends)
            first = controller.envoy.pid
            await cancel(tasks)
            assert fetch("http://shop.test/") in ("e", "f"), "Envoy serves without the agent"
            controller, tasks = start_controller(config, backends.api, clock)
            await until_ready(controller, tasks)
            assert controller.envoy.pid == first, "a new agent adopts the Envoy that runs"
            os.kill(first, 9)
            await eventually(lambda: controller.envoy.pid != first and controller.ready.is_set(), "a new Envoy", 20)
            assert fetch("http://shop.test/") in ("e", "f")
        finally:
            await cancel(tasks)
            await controller.envoy.stop()
            for address in list(backends.running):
                backends.stop(address)

    in_own_namespaces(main)


def start_controller(
    config: IngressConfig, api: FixedApi, clock: SystemClock
) -> tuple[IngressController, list[asyncio.Task[None]]]:
    cache = Cache(api, clock)  # type: ignore[arg-type]
    controller = IngressController(config, api, cache, clock)  # type: ignore[arg-type]
    return controller, [asyncio.create_task(part.run()) for part in (cache, controller)]


async def until_ready(controller: IngressController, tasks: list[asyncio.Task[None]]) -> None:
    """Wait, but not for a controller that has failed."""
    waiting = asyncio.create_task(controller.ready.wait())
    await asyncio.wait([waiting, *tasks], timeout=120, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in tasks:
        if task.done():
            task.result()
    assert controller.ready.is_set(), f"not ready; Envoy says: {controller.envoy.log_tail()}"


async def cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def fetch(url: str, *options: str) -> str:
    to_here = ["--connect-to", "::127.0.0.1:"]
    return subprocess.run(["curl", "-sk", "-m", "5", *to_here, *options, url], capture_output=True, text=True).stdout


def put_certificate(api: FixedApi, name: str, host: str) -> None:
    sh(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        f" -keyout /run/netns/key -out /run/netns/crt -subj /CN={host} 2>/dev/null"
    )
    pair = {"tls.crt": "crt", "tls.key": "key"}
    data = {key: base64.b64encode(Path(f"/run/netns/{file}").read_bytes()).decode() for key, file in pair.items()}
    for file in pair.values():
        Path(f"/run/netns/{file}").unlink()
    meta = {"namespace": "shop", "name": name}
    api.put(SECRET, {"metadata": meta, "type": "kubernetes.io/tls", "data": data})


async def check_requests(backends: Backends) -> None:
    assert {fetch("http://shop.test/") for _ in range(8)} == {"a", "b"}
    assert {fetch("https://shop.test/") for _ in range(8)} == {"a", "b"}
    assert "CN = shop.test" in certificate_subject("shop.test")
    assert "no certificate for this name" in certificate_subject("other.test")
    assert fetch("http://other.test/") == "404: no Ingress has a rule for this host and path\n"
    seen = fetch("https://shop.test/headers").lower()
    for header in (
        "host: shop.test",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.test",
        "x-forwarded-for: 127",
    ):
        assert header in seen, seen
    status = backends.api.objects[INGRESS.plural, "shop", "web"]["status"]
    assert status == {"loadBalancer": {"ingress": [{"ip": "10.89.0.1"}]}}


def certificate_subject(host: str) -> str:
    connect = f"openssl s_client -connect 127.0.0.1:443 -servername {host} </dev/null 2>/dev/null"
    return sh(f"{connect} | openssl x509 -noout -subject")


async def check_rolling_update(backends: Backends) -> None:
    """Each server is replaced: a new one is published, the old one told to end and unpublished at the same moment.

    A request that may be repeated survives even a server that closes its connections at once. One that may not needs
    a server that serves on until it is no longer asked.
    """
    patience_s = 0.3
    first = (("127.0.1.1", "127.0.1.3", "c", patience_s), ("127.0.1.2", "127.0.1.4", "d", patience_s))
    second = (("127.0.1.3", "127.0.1.5", "e", 0.0), ("127.0.1.4", "127.0.1.6", "f", 0.0))

    async def replace(changes: tuple[tuple[str, str, str, float], ...]) -> None:
        for old, new, name, patience_s in changes:
            await asyncio.sleep(0.3)
            await asyncio.to_thread(backends.start, name, new, patience_s)
            backends.publish()
            await asyncio.sleep(0.3)
            leaving = backends.running.pop(old)
            leaving.terminate()
            backends.publish()
            await asyncio.to_thread(leaving.wait)
        await asyncio.sleep(0.3)

    for methods, changes, names in ((("GET",), first, "abcd"), (("GET", "POST"), second, "cdef")):
        load = Load(*methods)
        await load.during(replace(changes))
        assert load.failures == []
        assert load.served.keys() == set(names)
        assert sum(load.served.values()) > 200


async def check_hosts_come_and_go(backends: Backends) -> None:
    async def change() -> None:
        backends.add_ingress("more", "more.test", tls=[{"hosts": ["more.test"], "secretName": "more"}])
        put_certificate(backends.api, "more", "more.test")
        await eventually(lambda: fetch("http://more.test/") in ("e", "f"), "a new host")
        await eventually(lambda: "more.test" in certificate_subject("more.test"), "its certificate")
        backends.add_ingress("more", "less.test")
        await eventually(lambda: fetch("http://more.test/").startswith("404"), "the host is gone")

    load = Load("GET", "POST")
    await load.during(change())
    assert load.failures == [], "a change of one Ingress is not felt by another"


async def check_websocket(backends: Backends) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    writer.write(b"GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    backends.add_ingress("late", "late.test")
    await eventually(lambda: fetch("http://late.test/") in ("e", "f"), "a change while a WebSocket is open")
    writer.write(b"hello")
    assert (await asyncio.wait_for(reader.read(100), 5)).endswith(b":hello"), "a change drops no WebSocket"
    writer.close()
