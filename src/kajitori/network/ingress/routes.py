"""Routing as an Envoy route configuration (envoy.config.route.v3.RouteConfiguration)."""

import re
from collections.abc import Mapping
from typing import Any

from kajitori.network.ingress.clusters import Upstream
from kajitori.network.ingress.routing import Backend, Routing, Rule

Resource = dict[str, Any]
Targets = Mapping[Backend, Upstream | str]
"""What stands behind each backend, or why nothing does."""

ROUTES = "ingress"
NOT_FOUND = "404: no Ingress has a rule for this host and path\n"
_RETRY_HOST = "type.googleapis.com/envoy.extensions.retry.host"
_SAFE = "connect-failure,refused-stream,reset-before-request"
# A method that may be repeated (RFC 9110, 9.2.2) is sent again even when a connection breaks under it.
_IDEMPOTENT = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD|OPTIONS|PUT|DELETE"}}}


def route_configuration(routing: Routing, targets: Targets) -> Resource:
    hosts = [_virtual_host(host, routing, targets) for host in routing.hosts()]
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "ignore_port_in_host_matching": True,
        "virtual_hosts": [*hosts, _virtual_host("", routing, targets)],
        "request_headers_to_add": [
            _header("x-forwarded-host", "%REQ(:AUTHORITY)%"),
            _header("x-forwarded-port", "%DOWNSTREAM_LOCAL_PORT%"),
            _header("x-real-ip", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        ],
    }


def _header(name: str, value: str) -> Resource:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _virtual_host(host: str, routing: Routing, targets: Targets) -> Resource:
    routes = [entry for rule in routing.rules_of(host) for entry in _routes(rule, targets)]
    if routing.default:
        routes += _routes(Rule("", "/", False, routing.default), targets)
    routes.append({"match": {"prefix": "/"}, "direct_response": _direct(404, NOT_FOUND)})
    return {"name": host or "*", "domains": [host or "*"], "routes": routes}


def _routes(rule: Rule, targets: Targets) -> list[Resource]:
    match = _match(rule)
    target = targets[rule.backend] if rule.backend else "backends other than Services are not supported"
    if isinstance(target, str):
        return [{"match": match, "direct_response": _direct(503, f"503: {target}\n")}]
    conditions = match.get("headers", [])
    repeatable = {**match, "headers": [*conditions, _IDEMPOTENT]}
    return [
        {"match": repeatable, "route": _action(target, f"{_SAFE},reset")},
        {"match": match, "route": _action(target, _SAFE)},
    ]


def _match(rule: Rule) -> Resource:
    if rule.exact:
        match: Resource = {"path": rule.path}
    elif rule.path == "/":
        match = {"prefix": "/"}
    else:
        match = {"path_separated_prefix": rule.path}
    if rule.host.startswith("*."):
        # Envoy's wildcard covers any number of labels, an Ingress's exactly one.
        pattern = rf"[^.]+{re.escape(rule.host[1:])}(:\d+)?"
        match["headers"] = [{"name": ":authority", "string_match": {"safe_regex": {"regex": pattern}}}]
    return match


def _action(target: Upstream, retry_on: str) -> Resource:
    """No limit on how long a response takes: streams and WebSockets may last; silence is limited by the listener."""
    action: Resource = {
        "cluster": target.name,
        "timeout": "0s",
        "retry_policy": {
            "retry_on": retry_on,
            "num_retries": 4,
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
            "retry_host_predicate": [
                {
                    "name": "previous_hosts",
                    "typed_config": {"@type": f"{_RETRY_HOST}.previous_hosts.v3.PreviousHostsPredicate"},
                }
            ],
            "host_selection_retry_max_attempts": 5,
        },
    }
    if target.external:
        action["host_rewrite_literal"] = target.external
    return action


def _direct(status: int, body: str) -> Resource:
    return {"status": status, "body": {"inline_string": body}}
