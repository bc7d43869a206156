"""The two ports as Envoy listeners (envoy.config.listener.v3.Listener): plain HTTP, and TLS chosen by server name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kajitori.network.ingress.routes import ROUTES

Resource = dict[str, Any]

ROUTES_FILE = "routes.json"
CERTIFICATES_DIRECTORY = "certificates"
FALLBACK_CERTIFICATE = "fallback"
_EXTENSIONS = "type.googleapis.com/envoy.extensions."
_STREAM_IDLE_TIMEOUT = "3600s"
_CONNECTION_IDLE_TIMEOUT = "600s"
_HEADERS_TIMEOUT = "15s"
_BUFFER_BYTES = 1 << 18
_UNAVAILABLE = "503: no pod of the Service behind this path answers (%RESPONSE_CODE_DETAILS%)\n"


@dataclass(frozen=True, slots=True)
class ListenConfig:
    address: str = "0.0.0.0"  # noqa: S104
    http_port: int = 80
    https_port: int = 443


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate by name, for these hosts; wildcards are as in an Ingress."""

    name: str
    hosts: tuple[str, ...]


def listeners(config: ListenConfig, certificates: Sequence[ServerCertificate]) -> list[Resource]:
    plain = {"filters": [_http_filter("ingress_http")]}
    secure = [_tls_chain(certificate) for certificate in certificates if certificate.hosts]
    return [
        _listener("http", config.address, config.http_port, {"default_filter_chain": plain}),
        _listener(
            "https",
            config.address,
            config.https_port,
            {
                "listener_filters": [_extension("tls_inspector", "filters.listener.tls_inspector.v3.TlsInspector")],
                "filter_chains": secure,
                "default_filter_chain": _tls_chain(ServerCertificate(_default_of(certificates), ())),
            },
        ),
    ]


def _default_of(certificates: Sequence[ServerCertificate]) -> str:
    """The certificate for every other name: one given without hosts, else our own."""
    return next((c.name for c in certificates if not c.hosts), FALLBACK_CERTIFICATE)


def _listener(name: str, address: str, port: int, rest: Resource) -> Resource:
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": {"socket_address": {"address": address, "port_value": port}},
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        **rest,
    }


def _tls_chain(certificate: ServerCertificate) -> Resource:
    source = {
        "path_config_source": {"path": f"{CERTIFICATES_DIRECTORY}/{certificate.name}.json"},
        "resource_api_version": "V3",
    }
    context = {
        "@type": f"{_EXTENSIONS}transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [{"name": certificate.name, "sds_config": source}],
        },
    }
    chain: Resource = {
        "name": certificate.name,
        "transport_socket": {"name": "tls", "typed_config": context},
        "filters": [_http_filter("ingress_https")],
    }
    if certificate.hosts:
        chain["filter_chain_match"] = {"server_names": list(certificate.hosts)}
    return chain


def _http_filter(stat_prefix: str) -> Resource:
    routes = {"path_config_source": {"path": f"./{ROUTES_FILE}"}, "resource_api_version": "V3"}
    return _extension(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=stat_prefix,
        rds={"route_config_name": ROUTES, "config_source": routes},
        use_remote_address=True,
        normalize_path=True,
        server_header_transformation="PASS_THROUGH",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        stream_idle_timeout=_STREAM_IDLE_TIMEOUT,
        request_headers_timeout=_HEADERS_TIMEOUT,
        common_http_protocol_options={"idle_timeout": _CONNECTION_IDLE_TIMEOUT},
        http_filters=[
            _extension("envoy.filters.http.router", "filters.http.router.v3.Router", suppress_envoy_headers=True)
        ],
        local_reply_config={"mappers": [_unavailable()]},
    )


def _unavailable() -> Resource:
    comparison = {"op": "EQ", "value": {"default_value": 503, "runtime_key": "ingress.unavailable"}}
    # Only what Envoy says itself: an answer made from a rule (flag DI is none) keeps its own text.
    flags = ["UH", "UF", "UC", "UO", "NC", "LR", "UR", "URX"]
    conditions = [
        {"status_code_filter": {"comparison": comparison}},
        {"response_flag_filter": {"flags": flags}},
    ]
    return {
        "filter": {"and_filter": {"filters": conditions}},
        "body_format_override": {"text_format_source": {"inline_string": _UNAVAILABLE}},
    }


def _extension(name: str, kind: str, **settings: Any) -> Resource:
    return {"name": name, "typed_config": {"@type": f"{_EXTENSIONS}{kind}", **settings}}
