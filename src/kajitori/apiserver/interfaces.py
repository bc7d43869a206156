"""What the API server's own parts ask of each other: who is asking, whether they may, what admission changes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol, runtime_checkable

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.rounds import Rounds


@dataclass(frozen=True, slots=True)
class User:
    """Who is asking, as authentication established it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connection and a request bring. `certificate` is the client's in DER, `chain` how TLS verified it,
    itself first, and empty where it could not. `headers` may name the user, from an authenticating proxy."""

    certificate: bytes | None = None
    bearer_token: str = ""
    chain: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


class Authenticator(Protocol):
    def known(self, credentials: Credentials) -> User | None:
        """Who this is, where memory alone tells and all it rests on still stands; else None. May raise Unauthorized."""

    async def authenticate(self, credentials: Credentials) -> User:
        """ANONYMOUS when nothing was brought; raises Unauthorized for something that does not hold."""


@dataclass(slots=True)
class Attributes:
    """What is being asked, as authorization sees it (`resource` is the plural; paths have none). Never changed: it is
    not frozen because making a frozen one takes four times as long, and every request makes one."""

    user: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    label_selector: str = ""
    field_selector: str = ""

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


class Verdict(Enum):
    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"
    ASK = "ask"
    """Memory has no answer: whoever cares awaits `decided`. Counts as "not allowed" to whoever does not."""


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        """The verdict and its reason. Answers from memory: no I/O."""


@runtime_checkable
class AskingAuthorizer(Authorizer, Protocol):
    """One whose `authorize` may answer Verdict.ASK."""

    async def ask(self, attributes: Attributes) -> tuple[Verdict, str]:
        """The verdict and its reason, never ASK; may ask another server."""


async def decided(authorizer: Authorizer, attributes: Attributes) -> tuple[Verdict, str]:
    """The verdict and its reason, never ASK."""
    verdict, reason = authorizer.authorize(attributes)
    if verdict is Verdict.ASK:
        assert isinstance(authorizer, AskingAuthorizer), f"{type(authorizer).__name__} cannot be asked"
        return await authorizer.ask(attributes)
    return verdict, reason


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


@dataclass(slots=True)
class AdmissionRequest:
    """`object` is changed in place by mutating plugins (None on DELETE); `old` is what is stored (None on CREATE).

    `warnings` collects texts that travel as Warning headers, `annotations` what the audit log keeps. `document` is the
    kind of `object` where that is not the resource's own (Scale, Binding, PodExecOptions). `timeout` is how long the
    client waits, as its query says. `rounds` is there once something configured has been asked to mutate.
    """

    user: User
    operation: Operation
    resource: Resource
    namespace: str
    name: str
    object: Object | None
    old: Object | None = None
    subresource: str = ""
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    document: Resource | None = None
    timeout: str = ""
    rounds: Rounds | None = None


class AdmissionPlugin(Protocol):
    """Either half may do nothing. Both raise a StatusError (usually Forbidden) to refuse."""

    async def mutate(self, request: AdmissionRequest) -> None: ...

    async def validate(self, request: AdmissionRequest) -> None: ...


Change = Callable[[Object], Object]
Watcher = Callable[[str, Object], None]
"""Called with ADDED, MODIFIED or DELETED and the object, in commit order; must neither block nor change it."""


class Objects(Protocol):
    """Decoded objects for the server's own parts, past authentication, authorization and admission.

    Objects handed out by `cached` and to watchers are shared: read them, never change them.
    """

    @property
    def shared(self) -> bool:
        """Whether other servers write to the same store."""

    async def caught_up(self) -> None:
        """Wait until memory has everything that is stored now."""

    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        """A private copy of the newest state; raises NotFound."""

    def cached(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """From memory, possibly a moment old."""

    def cached_list(self, resource: Resource, namespace: str = "") -> Iterable[Object]:
        """From memory, in key order; all namespaces when "" is given."""

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Fill in uid, creationTimestamp and generateName, and store; raises AlreadyExists."""

    async def update(
        self, resource: Resource, name: str, namespace: str, change: Change, *, keep_generation: bool = False
    ) -> Object:
        """Apply `change` to the newest state and store the result, again from the newest after every conflict.

        With `keep_generation` a changed spec counts as no new generation (a pod's binding). Removing the last finalizer
        of an object that is being deleted deletes it.
        """

    async def delete(
        self, resource: Resource, name: str, namespace: str = "", *, uid: str = "", grace_period_s: int | None = None
    ) -> Object:
        """Delete as the DELETE verb would (grace, finalizers), without admission."""

    def subscribe(self, resource: Resource, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` with ADDED for all that exist, then with every change; returns what ends it."""

    def end_watches(self, resource: Resource) -> None:
        """End every client's watch of a kind in good order: the kind is not any more what it was."""
