"""Everything around the plain store, put together: who may, what admission changes, the special endpoints.

`build` wires the parts on `Objects`; `Security.start` brings the cluster's own objects into being and begins what runs
in the background. The server's core takes the fields as they are.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kajitori.api import certificates, core, rbac
from kajitori.api.registry import Registry
from kajitori.apiserver.access import Access
from kajitori.apiserver.admission.default_plugins import default_plugins
from kajitori.apiserver.admission.policy_status import PolicyStatus
from kajitori.apiserver.admission.privileged import PrivilegedContainers
from kajitori.apiserver.admission.quota_status import QuotaStatus
from kajitori.apiserver.admission.quotas import QuotaLedger
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.admission.special_requests import SpecialRequests
from kajitori.apiserver.admission.versions import Versions
from kajitori.apiserver.aggregation.aggregator import Aggregation
from kajitori.apiserver.audit.auditor import Auditor
from kajitori.apiserver.authn.chain import OpaqueTokens, TokenAuthenticator
from kajitori.apiserver.authn.front_proxy import STANDARD
from kajitori.apiserver.authn.issuer_discovery import IssuerDiscovery
from kajitori.apiserver.authn.keyring import Keyring, SigningKey, VerifyingKey
from kajitori.apiserver.authn.reviews import IdentityReviews
from kajitori.apiserver.authn.service_accounts import ServiceAccountAuthenticator, TokenIssuer
from kajitori.apiserver.authn.settings import AuthenticationSettings
from kajitori.apiserver.authn.tokens import BootstrapTokens
from kajitori.apiserver.authn.trust import Trust
from kajitori.apiserver.authz.aggregation import Aggregator
from kajitori.apiserver.authz.escalation import BindingHooks, RoleHooks
from kajitori.apiserver.authz.node import NodeAuthorizer
from kajitori.apiserver.authz.node_graph import NodeGraph
from kajitori.apiserver.authz.rbac import RbacAuthorizer
from kajitori.apiserver.authz.reviews import AccessReviews
from kajitori.apiserver.authz.settings import NODE, RBAC, AuthorizationSettings
from kajitori.apiserver.bootstrap.apply import bootstrap
from kajitori.apiserver.bootstrap.cluster import ClusterFacts
from kajitori.apiserver.bootstrap.policy import node_rules
from kajitori.apiserver.exposition import Family
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.health import Check
from kajitori.apiserver.http_types import Handler, HandlerKey, RestHooks
from kajitori.apiserver.interfaces import AdmissionPlugin, Authorizer, Objects
from kajitori.apiserver.pki import Pki
from kajitori.apiserver.special import definitions
from kajitori.apiserver.special.bindings import Bindings
from kajitori.apiserver.special.certificate_signer import CertificateSigner
from kajitori.apiserver.special.component_status import ComponentStatuses
from kajitori.apiserver.special.evictions import Evictions
from kajitori.apiserver.special.legacy_tokens import LegacyTokens
from kajitori.apiserver.special.service_claims import ServiceClaims
from kajitori.apiserver.special.services import ServiceHooks, numbers_of
from kajitori.apiserver.special.signing_requests import SigningRequestHooks
from kajitori.apiserver.special.token_requests import TOKENS, TokenRequests
from kajitori.apiserver.start_checks import WRITTEN, start_checks
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.pods import PodStreams
from kajitori.apiserver.streams.proxies import Proxies
from kajitori.apiserver.streams.resource_metrics import NODE_METRICS, POD_METRICS, ResourceMetrics
from kajitori.apiserver.streams.service_endpoints import ServiceEndpoints
from kajitori.apiserver.streams.webhook_caller import WebhookCaller
from kajitori.kit.clock import Clock
from kajitori.kit.randomness import BlockRandom

log = logging.getLogger(__name__)

_CSR = certificates.CERTIFICATE_SIGNING_REQUEST
CLUSTER_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class SecurityConfig:
    """`advertised_address` is where pods reach this server, never a loopback address."""

    pki: Pki
    advertised_address: str
    port: int = 6443
    service_cidr: str = "10.96.0.0/16"
    service_ip: str = "10.96.0.1"
    dns_ip: str = "10.96.0.10"
    issuers: tuple[str, ...] = (CLUSTER_ISSUER,)
    """The first issues tokens, those of the others are accepted."""
    audiences: tuple[str, ...] = (CLUSTER_ISSUER,)
    front_proxy: tuple[Path, Path] | None = None
    """The certificate and the key that aggregated API servers are shown, instead of the PKI's."""
    signing_key: SigningKey | None = None
    """Instead of the PKI's own, which goes on verifying what it signed."""
    verifying_keys: Sequence[VerifyingKey] = ()
    token_lifetime_max_s: int | None = None
    authentication: AuthenticationSettings = field(default_factory=AuthenticationSettings)
    authorization: AuthorizationSettings = field(default_factory=AuthorizationSettings)
    components: Mapping[str, Check] = field(default_factory=dict)
    """How the parts beside this server are, for componentstatuses."""
    auditor: Auditor | None = None
    plugins_on: frozenset[str] = frozenset()
    plugins_off: frozenset[str] = frozenset()
    """Admission plugins by upstream's names."""
    allow_privileged: bool = True
    has_ingress: bool = True
    has_volumes: bool = True
    """Whether this cluster's own nodes serve Ingresses and local-path volumes: then there is a default class."""


@dataclass(slots=True, kw_only=True)
class Security:
    """`handlers` and `hooks` are the tables that the server's core dispatches by; `hooks` by (group, plural)."""

    access: Access
    plugins: Sequence[AdmissionPlugin]
    handlers: Mapping[HandlerKey, Handler]
    path_handlers: Mapping[str, Handler]
    aggregation: Aggregation
    hooks: Mapping[tuple[str, str], Sequence[RestHooks]]
    server_address: str
    user_headers: tuple[str, ...]
    anonymous_paths: frozenset[str] | None
    auditor: Auditor | None
    families: Sequence[Family]
    _begin: Callable[[], Coroutine[Any, Any, None]]
    _loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]]
    _stops: Sequence[Callable[[], None]]
    _tasks: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    @property
    def extension(self) -> Extension:
        """What `ApiServer.install` takes."""
        return Extension(
            authenticator=self.access.authenticator,
            authorizer=self.access.authorizer,
            admission=self.plugins,
            handlers=self.handlers,
            path_handlers=self.path_handlers,
            group_handlers=self.aggregation.handlers,
            aggregation=self.aggregation,
            hooks=self.hooks,
            server_address=self.server_address,
            user_headers=self.user_headers,
            anonymous_paths=self.anonymous_paths,
            auditor=self.auditor,
            live_checks=start_checks(self._runs),
            families=self.families,
        )

    def _runs(self, name: str) -> bool:
        """The loops begin when all is written."""
        if name == WRITTEN:
            return bool(self._tasks)
        return name in self._tasks and not self._tasks[name].done()

    async def start(self) -> None:
        """Write what is missing, then begin what runs in the background. The store must be writable."""
        await self._begin()
        self._tasks |= {name: asyncio.create_task(loop(), name=name) for name, loop in self._loops.items()}

    async def trust_anew(self) -> None:
        """The files that say whose client certificates count have changed. Raises BadConfiguration, StatusError."""
        self.access.reload_trust()
        await self._begin()

    async def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for stop in self._stops:
            stop()
        await self.access.close()
        if self.auditor is not None:
            await self.auditor.close()


def build(
    config: SecurityConfig, objects: Objects, registry: Registry, clock: Clock, rng: random.Random | None = None
) -> Security:
    """Wire everything; reads nothing but `objects`' memory, writes nothing before `start`. Raises BadConfiguration."""
    rng = rng or BlockRandom()
    own_key = SigningKey(config.pki.service_account_key)
    key = config.signing_key or own_key
    keys = Keyring([key, own_key, *config.verifying_keys])
    roles, graph = RbacAuthorizer(objects), NodeGraph(objects)
    in_memory: dict[str, Authorizer] = {NODE: NodeAuthorizer(graph, node_rules()), RBAC: roles}
    access = _access(config, keys, in_memory, objects, clock)
    authenticator, authorizer = access.authenticator, access.authorizer
    claims = ServiceClaims(objects, clock, numbers_of)
    services = ServiceHooks(objects, config.service_cidr, rng, claims)
    ledger = QuotaLedger(objects, registry, clock)
    issuer = TokenIssuer(key, config.issuers[0])
    kubelets, endpoints = Kubelets(objects, config.pki.directory), ServiceEndpoints(objects, rng)
    webhooks = WebhookCaller(objects, endpoints, clock)
    custom = definitions.CustomResourceDefinitions(objects, registry, clock, webhooks.call, rng)
    around = Surroundings(objects, authorizer, registry, Versions(registry), clock)
    plugins = default_plugins(around, ledger, webhooks, rng)
    more = () if config.allow_privileged else (PrivilegedContainers(),)
    plugins = plugins.configured(config.plugins_on, config.plugins_off, more)
    for resource in (NODE_METRICS, POD_METRICS):
        registry.add(resource)
    stem = config.pki.directory / "front-proxy-client"
    shown = config.front_proxy or (stem.with_suffix(".crt"), stem.with_suffix(".key"))
    aggregation = Aggregation(objects, registry, clock, endpoints, shown)
    tokens = TokenRequests(objects, issuer, config.audiences, clock, authorizer, config.token_lifetime_max_s)
    handlers = {
        **IdentityReviews(authenticator, clock).handlers(),
        **AccessReviews(authorizer, roles, clock, access.incomplete).handlers(),
        **Bindings(objects, clock).handlers(),
        **Evictions(objects, clock).handlers(),
        **tokens.handlers(),
        **PodStreams(objects, kubelets, authorizer).handlers(),
        **Proxies(objects, kubelets, endpoints).handlers(),
        **ResourceMetrics(objects, kubelets, clock).handlers(),
        **ComponentStatuses(config.components).handlers(),
    }
    return Security(
        access=access,
        plugins=(plugins,),
        handlers=SpecialRequests(plugins.by_users, clock, {TOKENS: tokens.settled}).before(handlers),
        path_handlers=IssuerDiscovery(keys, config.issuers[0]).path_handlers(),
        aggregation=aggregation,
        hooks={
            **_hooks_of(authorizer, roles),
            (core.SERVICE.group, core.SERVICE.plural): [services],
            (definitions.CRD.group, definitions.CRD.plural): [custom],
            (_CSR.group, _CSR.plural): [SigningRequestHooks()],
        },
        server_address=f"{config.advertised_address}:{config.port}",
        user_headers=tuple({*STANDARD.all, *config.authentication.trust.headers.all}),
        anonymous_paths=config.authentication.anonymous.paths,
        auditor=config.auditor,
        families=(*around.figures.families, *aggregation.families, *services.families()),
        _begin=lambda: bootstrap(objects, _facts(config, access.trust)),
        _loops={
            "cluster role aggregation": Aggregator(objects, clock).run,
            "custom resource definitions": custom.run,
            "aggregation": aggregation.run,
            "service claims": claims.run,
            "type checking of policies": PolicyStatus(objects, registry, clock).run,
            "resource quotas": QuotaStatus(objects, ledger, clock).run,
            "certificate signing": CertificateSigner(objects, authorizer, config.pki.authority, clock).run,
            "token secrets": LegacyTokens(objects, issuer, config.pki.authority.certificate).run,
        },
        _stops=[roles.stop, graph.stop, services.stop, custom.stop, aggregation.stop, ledger.stop, webhooks.close],
    )


def _access(
    config: SecurityConfig, keys: Keyring, in_memory: Mapping[str, Authorizer], objects: Objects, clock: Clock
) -> Access:
    """Tokens are looked up in upstream's order: static ones, service accounts, bootstrap, then who has to be asked."""
    settings, own = config.authentication, config.audiences
    tokens: list[TokenAuthenticator] = []
    if settings.static_tokens is not None:
        tokens.append(OpaqueTokens(settings.static_tokens.find, own))
    accounts = ServiceAccountAuthenticator(keys, config.issuers, own, objects, clock)
    tokens.append(accounts)
    tokens.append(OpaqueTokens(BootstrapTokens(objects, clock).authenticate, own))
    trust = Trust(settings.trust, config.pki.authority.certificate, config.pki.front_proxy_authority.certificate)
    return Access(settings, config.authorization, trust, tokens, accounts.remembered, own, in_memory, clock)


def _hooks_of(authorizer: Authorizer, roles: RbacAuthorizer) -> Mapping[tuple[str, str], Sequence[RestHooks]]:
    hooks: dict[tuple[str, str], Sequence[RestHooks]] = {}
    for resource in (rbac.ROLE, rbac.CLUSTER_ROLE):
        hooks[resource.group, resource.plural] = [RoleHooks(resource, authorizer, roles)]
    for resource in (rbac.ROLE_BINDING, rbac.CLUSTER_ROLE_BINDING):
        hooks[resource.group, resource.plural] = [BindingHooks(resource, authorizer, roles)]
    return hooks


def _facts(config: SecurityConfig, trust: Trust) -> ClusterFacts:
    return ClusterFacts(
        address=config.advertised_address,
        port=config.port,
        service_ip=config.service_ip,
        service_cidr=config.service_cidr,
        dns_ip=config.dns_ip,
        trusted=trust.published,
        has_ingress=config.has_ingress,
        has_volumes=config.has_volumes,
    )
