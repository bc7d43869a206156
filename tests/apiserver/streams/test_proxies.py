"""The proxy subresources of pods and services."""

import asyncio
from pathlib import Path

import pytest
from fake_node import World, answering, body_of

from kajitori.api import core, discovery
from kajitori.api.errors import BadRequest, NotFound, ServiceUnavailable, StatusError
from kajitori.apiserver.http_types import Response
from kajitori.apiserver.streams.proxies import is_global_unicast, parse_proxy_name


def test_a_service_is_proxied_to_a_ready_endpoint(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def scenario() -> Response:
        answer = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-own: yes\r\n\r\nok")
        async with world.kubelet(answer, tls=False) as port:
            service = {
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {"ports": [{"name": "h", "port": 80}]},
            }
            world.objects.put(core.SERVICE, service)
            world.objects.put(
                discovery.ENDPOINT_SLICE,
                {
                    "metadata": {
                        "name": "web-1",
                        "namespace": "default",
                        "labels": {"kubernetes.io/service-name": "web"},
                    },
                    "ports": [{"name": "h", "port": port}],
                    "endpoints": [
                        {"addresses": ["127.0.0.9"], "conditions": {"ready": False}},
                        {
                            "addresses": ["127.0.0.1"],
                            "conditions": {"ready": True},
                            "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"},
                        },
                    ],
                },
            )
            response = await world.ask("proxy", "a=1", plural="services", name="web:h", rest="/deep/path")
            assert await body_of(response) == b"ok"
            pod = await world.ask("proxy", name=f"web:{port}", rest="/")
            assert await body_of(pod) == b"ok"
            root = await world.ask("proxy", "q=1", name=f"web:{port}")
            location = f"/api/v1/namespaces/default/pods/web:{port}/proxy/?q=1"
            assert (root.status, root.headers) == (301, (("Location", location),))
            raw = f"/api/v1/namespaces/default/pods/web:{port}/proxy/a%2Fb%20c//d/"
            await body_of(await world.ask("proxy", name=f"web:{port}", rest="/a/b c//d/", raw_path=raw))
            return response

    assert ("x-own", "yes") in asyncio.run(scenario()).headers
    assert world.heads[0].startswith("GET /deep/path?a=1 HTTP/1.1\r\n")
    assert world.heads[1].startswith("GET / HTTP/1.1\r\n")
    assert world.heads[2].startswith("GET /a%2Fb%20c//d/ HTTP/1.1\r\n")


def test_pages_and_redirects_of_a_pod_lead_through_the_proxy(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def serve(head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.startswith("GET /old"):
            lines = b"set-cookie: a=1\r\nlocation: /new/\r\nset-cookie: b=2\r\ncontent-length: 0"
            writer.write(b"HTTP/1.1 302 Found\r\n" + lines + b"\r\n\r\n")
        else:
            page = b'<a href="/rewriteme">test</a>'
            kind = b"content-type: text/html; charset=utf-8\r\ncontent-length: %d\r\n\r\n" % len(page)
            writer.write(b"HTTP/1.1 200 OK\r\n" + kind + page)

    async def scenario() -> tuple[bytes, Response, str]:
        async with world.kubelet(serve, tls=False) as port:
            prefix = f"/api/v1/namespaces/default/pods/web:{port}/proxy"
            page = await body_of(await world.ask("proxy", name=f"web:{port}", rest="/"))
            return page, await world.ask("proxy", name=f"web:{port}", rest="/old"), prefix

    page, moved, prefix = asyncio.run(scenario())
    assert page == f'<a href="{prefix}/rewriteme">test</a>'.encode()
    assert (moved.status, dict(moved.headers)["location"]) == (302, f"{prefix}/new/")
    assert [value for name, value in moved.headers if name == "set-cookie"] == ["a=1", "b=2"]


def test_names_of_proxied_things() -> None:
    assert parse_proxy_name("https:web:443", "pod") == ("https", "web", "443")
    assert parse_proxy_name("web:http", "pod") == ("", "web", "http")
    for wrong in ("a:b:c:d", "ftp:web:80"):
        with pytest.raises(BadRequest, match=f'invalid pod request "{wrong}"'):
            parse_proxy_name(wrong, "pod")


def test_nobody_is_led_to_addresses_of_this_host_or_its_link(tmp_path: Path) -> None:
    world = World(tmp_path, checked=True)
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    world.objects.put(core.NODE, {"metadata": {"name": "n1"}, "status": {"addresses": addresses}})
    for plural, name in (("pods", "web"), ("pods", "web:22"), ("nodes", "n1"), ("nodes", "n1:22")):
        with pytest.raises(BadRequest, match="address not allowed"):
            asyncio.run(world.ask("proxy", plural=plural, name=name, rest="/"))
    assert [is_global_unicast(ip) for ip in ("10.1.2.3", "192.168.0.1", "8.8.8.8", "fd00::1")] == [True] * 4
    others = (
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1",
        "ff02::1",
        "x",
    )
    assert not any(map(is_global_unicast, others))


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("web", NotFound('services "web" not found')),
        ("empty", ServiceUnavailable('no endpoints available for service "empty"')),
        ("outside:80", ServiceUnavailable('no endpoints available for service "outside:80"')),
        ("outside:h", ServiceUnavailable('no endpoints available for service "outside:h"')),
        ("outside", ServiceUnavailable('no endpoints available for service "outside"')),
        ("outside:81", ServiceUnavailable('no service port 81 found for service "outside"')),
        ("outside:no", ServiceUnavailable('no endpoints available for service "outside:no"')),
    ],
)
def test_a_service_leads_to_pods_alone(tmp_path: Path, name: str, refusal: StatusError) -> None:
    """Whoever may write EndpointSlices could otherwise have the server connect anywhere."""
    world = World(tmp_path)
    endpoints = [
        {"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
        {"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "name": "web", "namespace": "other"}},
        {"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "name": "gone", "namespace": "default"}},
        {"addresses": ["127.0.0.7"], "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"}},
    ]
    for service, slices in (("web", None), ("empty", []), ("outside", endpoints)):
        meta = {"name": service, "namespace": "default"}
        world.objects.put(core.SERVICE, {"metadata": meta, "spec": {"ports": [{"name": "h", "port": 80}]}})
        if slices is not None:
            labelled = {**meta, "labels": {"kubernetes.io/service-name": service}}
            ports = [{"name": "h", "port": 1}]
            world.objects.put(discovery.ENDPOINT_SLICE, {"metadata": labelled, "ports": ports, "endpoints": slices})
    with pytest.raises(type(refusal)) as refused:
        asyncio.run(world.ask("proxy", plural="services", name=name, rest="/"))
    assert refused.value.message == refusal.message
