"""What is plugged into the server: who may do what, what admission changes, and the endpoints that are special."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kajitori.apiserver.aggregation.aggregator import Aggregation
from kajitori.apiserver.audit.auditor import Auditor
from kajitori.apiserver.authn.front_proxy import STANDARD
from kajitori.apiserver.exposition import Family
from kajitori.apiserver.health import Check
from kajitori.apiserver.http_types import Handler, HandlerKey
from kajitori.apiserver.interfaces import (
    AdmissionPlugin,
    Attributes,
    Authenticator,
    Authorizer,
    Credentials,
    User,
    Verdict,
)
from kajitori.apiserver.rest.backend import HookTable

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))


class EveryoneIsAdmin:
    """Authenticates everybody as the administrator: for tests and simulations, never for a network."""

    def known(self, credentials: Credentials) -> User:
        return ADMIN

    async def authenticate(self, credentials: Credentials) -> User:
        return ADMIN


class EverythingIsAllowed:
    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        return Verdict.ALLOW, ""


@dataclass(frozen=True, slots=True)
class Extension:
    """`handlers` answer a subresource, or a resource's own verbs with subresource "". `path_handlers` answer a path and
    everything below it; the longest path wins. `group_handlers` answer all paths of an aggregated group's version."""

    authenticator: Authenticator = field(default_factory=EveryoneIsAdmin)
    authorizer: Authorizer = field(default_factory=EverythingIsAllowed)
    admission: Sequence[AdmissionPlugin] = ()
    handlers: Mapping[HandlerKey, Handler] = field(default_factory=dict)
    path_handlers: Mapping[str, Handler] = field(default_factory=dict)
    group_handlers: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    """By (group, version); they win over the registry. May be live: looked at for every request, unless empty."""
    aggregation: Aggregation | None = None
    """What discovery and OpenAPI say of those."""
    hooks: HookTable = field(default_factory=dict)
    server_address: str = ""
    """Host and port, as `/api` tells them to clients."""
    user_headers: tuple[str, ...] = STANDARD.all
    """What the names of headers begin with in which an authenticating proxy names users. They go no further than
    authentication."""
    anonymous_paths: frozenset[str] | None = None
    """The only paths that are open to requests without credentials; None leaves all to authorization."""
    auditor: Auditor | None = None
    live_checks: Mapping[str, Check] = field(default_factory=dict)
    ready_checks: Mapping[str, Check] = field(default_factory=dict)
    families: Sequence[Family] = ()
    """What /metrics shows besides the server's own."""
