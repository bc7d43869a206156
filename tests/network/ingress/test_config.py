import base64
from typing import Any

import pytest

from kajitori.api.meta import Object, ObjectKey
from kajitori.network.ingress.certificates import certificate_name, read_pair, self_signed
from kajitori.network.ingress.config import EnvoyResources, Lookup, compile_ingress
from kajitori.network.ingress.listeners import FALLBACK_CERTIFICATE, ListenConfig

CHAIN, KEY = self_signed(1_800_000_000.0)


def tls_secret(chain: bytes = CHAIN, key: bytes = KEY) -> Object:
    data = {"tls.crt": base64.b64encode(chain).decode(), "tls.key": base64.b64encode(key).decode()}
    return {"metadata": {"namespace": "shop", "name": "cert"}, "data": data}


def service(**spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    return {"metadata": {"namespace": "shop", "name": "web"}, "spec": {"ports": ports, **spec}}


SLICE: Object = {
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080}, {"name": "other", "port": 9}],
    "endpoints": [
        {"addresses": ["10.244.0.3"], "conditions": {"ready": True}},
        {"addresses": ["10.244.0.2"], "conditions": {}},
        {"addresses": ["10.244.0.4"], "conditions": {"ready": False, "serving": True}},
    ],
}


def compiled(
    *, host: str = "shop.test", port: dict[str, Any] | None = None, found: Object | None = None, **more: Any
) -> EnvoyResources:
    backend = {"service": {"name": "web", "port": port or {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/api", "pathType": "Prefix", "backend": backend}]}}
    ingress = {"metadata": {"namespace": "shop", "name": "i"}, "spec": {"rules": [rule], "tls": more.get("tls", [])}}
    services = {ObjectKey("shop", "web"): found or service()}
    secrets = {ObjectKey("shop", "cert"): more.get("secret") or tls_secret()}
    return compile_ingress([ingress], Lookup(services.get, lambda _: [SLICE], secrets.get), ListenConfig())


def virtual_host(resources: EnvoyResources, name: str) -> dict[str, Any]:
    return next(host for host in resources.routes["virtual_hosts"] if host["name"] == name)


@pytest.mark.parametrize("port", [{"number": 80}, {"name": "http"}])
def test_a_service_port_becomes_a_cluster_with_its_ready_endpoints(port: dict[str, Any]) -> None:
    resources = compiled(port=port)
    assert list(resources.clusters) == ["shop/web/80"]
    (locality,) = resources.endpoints["shop/web/80"]["endpoints"]
    addresses = [e["endpoint"]["address"]["socket_address"] for e in locality["lb_endpoints"]]
    assert addresses == [
        {"address": "10.244.0.2", "port_value": 8080},
        {"address": "10.244.0.3", "port_value": 8080},
    ]


def test_requests_that_may_be_repeated_are_retried_on_a_broken_connection_and_others_only_before_it() -> None:
    repeatable, other, fallback = virtual_host(compiled(), "shop.test")["routes"]
    assert repeatable["match"]["headers"][0]["string_match"]["safe_regex"]["regex"] == "GET|HEAD|OPTIONS|PUT|DELETE"
    assert repeatable["route"]["retry_policy"]["retry_on"].endswith(",reset")
    assert other["match"] == {"path_separated_prefix": "/api"}
    assert "reset" not in other["route"]["retry_policy"]["retry_on"].split(",")
    assert fallback["direct_response"]["status"] == 404


def test_a_missing_service_or_port_is_said_in_the_answer_and_reported() -> None:
    resources = compiled(port={"number": 81})
    route = virtual_host(resources, "shop.test")["routes"][0]
    assert route["direct_response"]["status"] == 503
    assert route["direct_response"]["body"]["inline_string"] == "503: Service shop/web has no TCP port 81\n"
    assert resources.problems == ["Service shop/web has no TCP port 81"]


def test_a_wildcard_host_covers_one_label() -> None:
    host = virtual_host(compiled(host="*.shop.test"), "*.shop.test")
    assert host["domains"] == ["*.shop.test"]
    pattern = host["routes"][1]["match"]["headers"][0]["string_match"]["safe_regex"]["regex"]
    assert pattern == r"[^.]+\.shop\.test(:\d+)?"


def test_a_certificate_is_chosen_by_server_name() -> None:
    resources = compiled(tls=[{"hosts": ["shop.test"], "secretName": "cert"}])
    secure = resources.listeners[1]
    name = certificate_name("shop", "cert")
    assert secure["filter_chains"][0]["filter_chain_match"] == {"server_names": ["shop.test"]}
    assert secure["filter_chains"][0]["name"] == name
    assert secure["default_filter_chain"]["name"] == FALLBACK_CERTIFICATE
    pair = resources.certificates[name]["tls_certificate"]
    assert base64.b64decode(pair["private_key"]["inline_bytes"]) == KEY


def test_a_certificate_without_hosts_is_for_every_other_name() -> None:
    resources = compiled(tls=[{"secretName": "cert"}])
    assert resources.listeners[1]["default_filter_chain"]["name"] == certificate_name("shop", "cert")


def test_an_unusable_secret_is_reported_and_the_fallback_serves() -> None:
    other_key = self_signed(1_800_000_000.0)[1]
    resources = compiled(tls=[{"hosts": ["shop.test"], "secretName": "cert"}], secret=tls_secret(key=other_key))
    assert resources.listeners[1]["filter_chains"] == []
    assert resources.problems == [
        "Secret shop/cert cannot be served as a certificate: tls.key is not the key of tls.crt"
    ]
    missing = compiled(tls=[{"hosts": ["shop.test"], "secretName": "gone"}])
    assert "does not exist" in missing.problems[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [({}, "it has no tls.crt"), ({"tls.crt": "!", "tls.key": "!"}, "its data is not base64")],
)
def test_what_is_wrong_with_a_secret_is_said(data: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_pair({"data": data})


def test_an_external_name_is_resolved_by_envoy() -> None:
    resources = compiled(found=service(type="ExternalName", externalName="db.example.org"))
    cluster = resources.clusters["shop/web/80"]
    assert cluster["type"] == "STRICT_DNS"
    assert resources.endpoints == {}
    route = virtual_host(resources, "shop.test")["routes"][0]
    assert route["route"]["host_rewrite_literal"] == "db.example.org"


def test_http2_backends_are_spoken_to_in_http2() -> None:
    ports = [{"name": "http", "port": 80, "appProtocol": "kubernetes.io/h2c"}]
    options = compiled(found=service(ports=ports)).clusters["shop/web/80"]["typed_extension_protocol_options"]
    ((_, protocol),) = options.items()
    assert "http2_protocol_options" in protocol["explicit_http_config"]
