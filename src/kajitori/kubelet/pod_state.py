"""What the node agent knows about one pod: the object, what the runtime shows, and what it remembers in between.

The worker folds everything that happens into a `PodState`; `lifecycle.decide` reads it and says what to do next, and
`pod_status.status_of` what to tell the API. Nothing here does any I/O.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from kajitori.api.meta import Object, is_deleting, name_of, namespace_of, uid_of
from kajitori.api.pods import is_sidecar
from kajitori.kubelet.runtime import ContainerRecord, ContainerState, SandboxRecord


class ContainerKind(StrEnum):
    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run yet, in upstream's words."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class CrashBackoff:
    duration_s: float
    updated_s: float


@dataclass(frozen=True, slots=True)
class PodEnd:
    """Why the node itself ends a pod: refused, evicted, or out of time."""

    reason: str
    message: str
    grace_s: float | None = None


@dataclass(frozen=True, slots=True)
class KillWish:
    """A container must go though its pod stays."""

    reason: str
    message: str
    grace_s: float | None = None


@dataclass(slots=True)
class ProbeState:
    """What the probes of one container found. Without a probe of a kind, the field starts out as passed."""

    started: bool
    ready: bool


@dataclass(slots=True)
class PodState:
    pod: Object
    observed: bool = False
    """The runtime has been looked at since the agent started."""
    removed: bool = False
    """The API no longer has the object."""
    admitted: bool = False
    volumes_mounted: bool = False
    torn_down: bool = False
    """Volumes unmounted and nothing left in the runtime."""
    finished: bool = False
    """The object is gone from the API and from the node: the worker ends."""
    sandboxes: Sequence[SandboxRecord] = ()
    """Newest first."""
    containers: dict[str, list[ContainerRecord]] = field(default_factory=dict)
    """Newest first, by container name."""
    busy: set[str] = field(default_factory=set)
    """Keys of actions under way."""
    retry_at_s: dict[str, float] = field(default_factory=dict)
    """When an action that failed, by its key, may be tried again."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    backoffs: dict[str, CrashBackoff] = field(default_factory=dict)
    probes: dict[str, ProbeState] = field(default_factory=dict)
    """By container id."""
    kill_wishes: dict[str, KillWish] = field(default_factory=dict)
    kill_deadlines_s: dict[str, float] = field(default_factory=dict)
    """By container id: when a kill under way will have turned to force."""
    resized: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """By container id: the CPU and memory that a running container was given since it was made."""
    resize_refused: tuple[str, str] | None = None
    """Reason and message: the node cannot give what the pod now asks for."""
    end: PodEnd | None = None
    ending_since_s: float | None = None
    started_s: float | None = None
    """When the node took the pod on: status.startTime."""
    reported: Object = field(default_factory=dict)
    """The status told last, which the object may not show yet."""

    @property
    def uid(self) -> str:
        return uid_of(self.pod)

    @property
    def spec(self) -> Object:
        return self.pod["spec"]  # type: ignore[no-any-return]

    @property
    def full_name(self) -> str:
        """`name_namespace(uid)`, as upstream's messages write it."""
        return f"{name_of(self.pod)}_{namespace_of(self.pod)}({self.uid})"

    @property
    def sandbox(self) -> SandboxRecord | None:
        """The newest sandbox when it is ready."""
        return self.sandboxes[0] if self.sandboxes and self.sandboxes[0].ready else None

    @property
    def is_leaving(self) -> bool:
        return self.removed or is_deleting(self.pod)

    def latest(self, name: str) -> ContainerRecord | None:
        records = self.containers.get(name)
        return records[0] if records else None

    def in_sandbox(self, name: str) -> ContainerRecord | None:
        """The newest record of a container in the current sandbox."""
        record = self.latest(name)
        return record if record and self.sandboxes and record.sandbox_id == self.sandboxes[0].id else None

    def running(self) -> Iterator[ContainerRecord]:
        for records in self.containers.values():
            for record in records:
                if record.state is ContainerState.RUNNING:
                    yield record

    def take_records(self, sandboxes: Sequence[SandboxRecord], containers: Sequence[ContainerRecord]) -> None:
        """What the runtime shows now, both newest first."""
        self.sandboxes = sandboxes
        by_name: dict[str, list[ContainerRecord]] = {}
        for record in containers:
            by_name.setdefault(record.name, []).append(record)
        self.containers = by_name
        alive = {record.id for record in self.running()}
        for memory in (self.probes, self.kill_wishes, self.kill_deadlines_s, self.resized):
            for container_id in [key for key in memory if key not in alive]:
                del memory[container_id]
        self.observed = True


def kind_of(spec: Object, name: str) -> ContainerKind:
    for container in spec.get("initContainers") or ():
        if container["name"] == name:
            return ContainerKind.SIDECAR if is_sidecar(container) else ContainerKind.INIT
    if any(container["name"] == name for container in spec.get("ephemeralContainers") or ()):
        return ContainerKind.EPHEMERAL
    return ContainerKind.MAIN


def container_named(spec: Object, name: str) -> Object | None:
    for key in ("containers", "initContainers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            if container["name"] == name:
                return container  # type: ignore[no-any-return]
    return None
