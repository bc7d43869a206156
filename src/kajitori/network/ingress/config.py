"""Ingresses, Services, EndpointSlices and Secrets in, Envoy's resources out. Pure: equal input gives equal output."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from kajitori.api.meta import Object, ObjectKey
from kajitori.network.ingress.certificates import certificate_name, certificate_resource, read_pair
from kajitori.network.ingress.clusters import Upstream, assignment, cluster, find_upstream
from kajitori.network.ingress.listeners import ListenConfig, ServerCertificate, listeners
from kajitori.network.ingress.routes import route_configuration
from kajitori.network.ingress.routing import Backend, Routing, route

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EnvoyResources:
    """What Envoy is told: clusters, endpoints and certificates by name. `problems` is what an operator should hear."""

    listeners: list[Resource]
    routes: Resource
    clusters: dict[str, Resource]
    endpoints: dict[str, Resource]
    certificates: dict[str, Resource]
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Where the other objects are."""

    service: Callable[[ObjectKey], Object | None]
    slices: Callable[[ObjectKey], Iterable[Object]]
    secret: Callable[[ObjectKey], Object | None]


def compile_ingress(ingresses: Iterable[Object], lookup: Lookup, config: ListenConfig) -> EnvoyResources:
    routing = route(ingresses)
    targets = {backend: find_upstream(backend, lookup.service) for backend in _backends(routing)}
    found = {target.name: target for target in targets.values() if isinstance(target, Upstream)}
    problems = [target for target in targets.values() if isinstance(target, str)]
    chosen, certificates = _certificates(routing, lookup, problems)
    return EnvoyResources(
        listeners=listeners(config, chosen),
        routes=route_configuration(routing, targets),
        clusters={name: cluster(upstream) for name, upstream in sorted(found.items())},
        endpoints={
            name: assignment(upstream, lookup.slices(upstream.key))
            for name, upstream in sorted(found.items())
            if not upstream.external
        },
        certificates=certificates,
        problems=sorted(set(problems)),
    )


def _backends(routing: Routing) -> list[Backend]:
    found = {rule.backend for rule in routing.rules if rule.backend}
    return sorted(found | {routing.default}) if routing.default else sorted(found)


def _certificates(
    routing: Routing, lookup: Lookup, problems: list[str]
) -> tuple[list[ServerCertificate], dict[str, Resource]]:
    """Certificates with their hosts; a host that two Secrets claim goes to the older Ingress."""
    taken: set[str] = set()
    chosen: dict[str, list[str]] = {}
    resources: dict[str, Resource] = {}
    for entry in routing.tls:
        key = ObjectKey(entry.namespace, entry.secret)
        name = certificate_name(*key)
        if name not in resources:
            try:
                resources[name] = certificate_resource(name, *_pair(lookup.secret(key)))
            except ValueError as reason:
                problems.append(f"Secret {key} cannot be served as a certificate: {reason}")
                continue
        fresh = [host for host in entry.hosts if host not in taken]
        taken.update(fresh)
        chosen.setdefault(name, []).extend(fresh)
    certificates = [ServerCertificate(name, tuple(h for h in hosts if h)) for name, hosts in chosen.items() if hosts]
    return certificates, resources


def _pair(secret: Object | None) -> tuple[bytes, bytes]:
    if secret is None:
        raise ValueError("it does not exist, or is not of type kubernetes.io/tls")
    return read_pair(secret)
