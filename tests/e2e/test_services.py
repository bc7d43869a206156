"""Services, DNS and Ingress of pods: every way in, and every change while it is used."""

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from own_namespace import Space, container, http_server, namespace, obj, pod, template
from real_cluster import Cluster, eventually

pytestmark = pytest.mark.e2e

SOCKET = "const s = require('dgram').createSocket('udp4');"
HOST_IP = "10.89.0.1"
PORTS = [{"name": "http", "port": 80, "targetPort": 8080}]


@pytest.fixture(scope="module")
def space(notes: Cluster) -> Iterator[Space]:
    """Two web pods (a StatefulSet behind a headless Service), one client."""
    with namespace(notes, "services") as space:
        labels = {"app": "web"}
        server = container(http_server(), ports=[{"containerPort": 8080, "name": "http"}])
        web = {
            "replicas": 2, "serviceName": "web", "selector": {"matchLabels": labels}, "podManagementPolicy": "Parallel",
            "template": template(labels, server),
        }  # fmt: skip
        space.apply(
            service("web", selector=labels, clusterIP="None"),
            obj("StatefulSet", "web", "apps/v1", spec=web),
            pod("client"),
        )
        space.kubectl("rollout", "status", "statefulset/web", "--timeout=180s")
        space.ready("client")
        yield space


def service(name: str, **spec: Any) -> dict[str, Any]:
    return obj("Service", name, spec={"ports": PORTS, **spec})


def fetch(host: str, port: int = 80, path: str = "/", name: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": name or host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def asks(space: Space, url: str, times: int = 1) -> list[str]:
    """What the client pod gets, each time on a connection of its own."""
    code = (
        f"(async () => {{ for (let i = 0; i < {times}; i++) console.log(await (await fetch('{url}',"
        " {headers: {connection: 'close'}})).text()) })().catch(e => { console.error(e.cause || e); process.exit(1) })"
    )
    return space.kubectl("exec", "client", "--", "node", "-e", code).split()


def resolves(space: Space, name: str) -> list[str]:
    code = f"require('dns').lookup('{name}', {{all: true}}, (e, a) => console.log(e ? e.code : JSON.stringify(a)))"
    answer = space.kubectl("exec", "client", "--", "node", "-e", code).strip()
    return sorted(entry["address"] for entry in json.loads(answer)) if answer.startswith("[") else [answer]


def test_names_of_a_headless_service_and_its_pods(space: Space) -> None:
    ips = {p["metadata"]["name"]: p["status"]["podIP"] for p in space.all("pods", "app=web")}
    assert resolves(space, "web") == sorted(ips.values())
    for name in ("web-0.web", "web-0.web.services", "web-0.web.services.svc", "web-0.web.services.svc.cluster.local"):
        assert resolves(space, name) == [ips["web-0"]]
    assert resolves(space, "web-7.web") == ["ENOTFOUND"]
    assert asks(space, "http://web-1.web:8080") == ["web-1"]


def test_cluster_ip_node_port_and_affinity(space: Space) -> None:
    selector = {"app": "web"}
    space.apply(
        service("plain", selector=selector),
        service("open", selector=selector, type="NodePort"),
        service("sticky", selector=selector, sessionAffinity="ClientIP"),
    )
    addresses = {name: space.get("service", name)["spec"]["clusterIP"] for name in ("plain", "sticky")}
    eventually(lambda: set(asks(space, "http://plain", 12)) == {"web-0", "web-1"}, "both pods behind the name", 20)
    assert resolves(space, "plain") == [addresses["plain"]]
    eventually(lambda: fetch(addresses["plain"])[0] == 200, "the Service from the host", 10)
    eventually(lambda: asks(space, "http://sticky"), "an answer", 10)
    assert len(set(asks(space, "http://sticky", 12))) == 1
    port = space.get("service", "open")["spec"]["ports"][0]["nodePort"]
    for host in ("127.0.0.1", HOST_IP):
        eventually(lambda host=host: fetch(host, port)[1].startswith("web-"), f"the node port on {host}", 10)
    assert asks(space, f"http://{HOST_IP}:{port}")[0].startswith("web-")
    space.delete("service/open")

    def closed() -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", port)) != 0

    eventually(closed, "the port closed again", 10)


def test_external_names_and_servers_outside(space: Space) -> None:
    class Outside(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"outside")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((HOST_IP, 0), Outside)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        outside = obj(
            "EndpointSlice", "outside-1", "discovery.k8s.io/v1", labels={"kubernetes.io/service-name": "outside"},
            addressType="IPv4", endpoints=[{"addresses": [HOST_IP], "conditions": {"ready": True}}],
            ports=[{"name": "http", "port": server.server_port, "protocol": "TCP"}],
        )  # fmt: skip
        alias = obj(
            "Service", "alias", spec={"type": "ExternalName", "externalName": "web-0.web.services.svc.cluster.local"}
        )
        space.apply(service("outside"), outside, alias)
        eventually(lambda: asks(space, "http://outside") == ["outside"], "the server outside", 10)
        assert asks(space, "http://alias:8080") == ["web-0"]
    finally:
        server.shutdown()
        server.server_close()


def test_host_port_and_pods_that_are_not_ready(space: Space) -> None:
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    published = container(http_server(), ports=[{"containerPort": 8080, "hostPort": 18080}], readinessProbe=never)
    labels = {"app": "never"}
    space.apply(
        pod("never", published, labels=labels),
        service("shown", selector=labels, clusterIP="None", publishNotReadyAddresses=True),
        service("hidden", selector=labels, clusterIP="None"),
    )
    space.until("pod", "never", "status.phase", "Running")
    eventually(lambda: fetch("127.0.0.1", 18080) == (200, "never"), "the host port on loopback", 15)
    assert asks(space, f"http://{HOST_IP}:18080") == ["never"]
    ip = space.get("pod", "never")["status"]["podIP"]
    eventually(lambda: resolves(space, "shown") == [ip], "the address of the unready pod", 10)
    assert resolves(space, "hidden") == ["ENOTFOUND"]
    space.delete("pod/never")
    eventually(lambda: resolves(space, "shown") == ["ENOTFOUND"], "no address", 10)


def test_udp(space: Space) -> None:
    code = f"{SOCKET} s.on('message', (m, r) => s.send('echo ' + m, r.port, r.address)); s.bind(9999)"
    labels = {"app": "udp"}
    echo = container(f'exec node -e "{code}"')
    ports = [{"port": 99, "targetPort": 9999, "protocol": "UDP"}]
    space.apply(pod("udp", echo, labels=labels), obj("Service", "udp", spec={"selector": labels, "ports": ports}))
    space.ready("udp")
    ask = (
        f"{SOCKET} s.on('message', m => {{ console.log('' + m); process.exit() }});"
        "setInterval(() => s.send('hi', 99, 'udp'), 200); setTimeout(() => process.exit(1), 5000)"
    )
    assert space.kubectl("exec", "client", "--", "node", "-e", ask).strip() == "echo hi"
    space.delete("pod/udp", "--wait=false")


class TestIngress:
    def ingress(self, name: str, *rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
        return obj("Ingress", name, "networking.k8s.io/v1", spec={"rules": rules, **spec})

    def rule(self, host: str, *paths: tuple[str, str, str]) -> dict[str, Any]:
        return {"host": host, "http": {"paths": [
            {"path": path, "pathType": kind, "backend": backend(name)} for path, kind, name in paths
        ]}}  # fmt: skip

    def through(self, space: Space, host: str, path: str = "/") -> tuple[int, str]:
        return fetch("127.0.0.1", space.cluster.http_port, path, host)

    def test_hosts_paths_and_a_default(self, space: Space) -> None:
        for name in ("red", "blue"):
            label = {"app": name}
            space.apply(pod(name, container(http_server()), labels=label), service(name, selector=label))
        space.ready("red")
        space.ready("blue")
        paths = (("/", "Prefix", "red"), ("/sub", "Prefix", "blue"), ("/exact", "Exact", "blue"))
        space.apply(
            self.ingress("paths", self.rule("one.test", *paths), self.rule("*.wild.test", ("/", "Prefix", "blue"))),
            self.ingress("other", self.rule("two.test", ("/only", "Prefix", "red"))),
        )
        eventually(lambda: self.through(space, "one.test") == (200, "red"), "the first host", 15)
        expected = {
            ("one.test", "/sub"): "blue", ("one.test", "/sub/x?y"): "blue", ("one.test", "/subway"): "red",
            ("one.test", "/exact"): "blue", ("one.test", "/exact/x"): "red",
            ("a.wild.test", "/"): "blue", ("two.test", "/only/x"): "red",
        }  # fmt: skip
        assert {key: self.through(space, *key)[1] for key in expected} == expected
        assert self.through(space, "two.test", "/")[0] == 404
        assert self.through(space, "nobody.test")[0] == 404
        assert self.through(space, "a.b.wild.test")[0] == 404
        space.apply(self.ingress("fallback", defaultBackend=backend("blue")))
        eventually(lambda: self.through(space, "nobody.test") == (200, "blue"), "the default backend", 10)

        changed = self.ingress("other", self.rule("two.test", ("/only", "Prefix", "blue")))
        space.apply(changed)
        eventually(lambda: self.through(space, "two.test", "/only") == (200, "blue"), "the changed backend", 10)
        space.delete("ingress/other", "ingress/fallback")
        eventually(lambda: self.through(space, "two.test", "/only")[0] == 404, "the deleted ingress gone", 10)
        space.delete("pod/blue")
        eventually(lambda: self.through(space, "one.test", "/sub")[0] == 503, "a backend without pods", 10)

    def test_each_host_has_its_certificate(self, space: Space, tmp_path: Path) -> None:
        for host in ("red.test", "green.test"):
            key, certificate = tmp_path / f"{host}.key", tmp_path / f"{host}.crt"
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", key, "-out", certificate],
                check=True, capture_output=True,
            )  # fmt: skip
            space.kubectl("create", "secret", "tls", host, f"--cert={certificate}", f"--key={key}")
            space.apply(
                self.ingress(host, self.rule(host, ("/", "Prefix", "web")), tls=[{"hosts": [host], "secretName": host}])
            )

        def over_tls(host: str) -> str:
            context = ssl.create_default_context(cafile=tmp_path / f"{host}.crt")
            with (
                socket.create_connection(("127.0.0.1", space.cluster.https_port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=host) as secured,
            ):
                secured.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                return b"".join(iter(lambda: secured.recv(4096), b"")).decode()

        for host in ("red.test", "green.test"):
            eventually(lambda host=host: "200 OK" in over_tls(host), f"{host} with its own certificate", 15)


def backend(name: str) -> dict[str, Any]:
    return {"service": {"name": name, "port": {"number": 80}}}
