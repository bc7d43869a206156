"""What `lifecycle.decide` asks the worker to do. `key` names what an action works on: one at a time for each key."""

from dataclasses import dataclass

from kajitori.kubelet.pod_state import ContainerKind


@dataclass(frozen=True, slots=True)
class MountVolumes:
    key = "volumes"


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    attempt: int
    key = "sandbox"


@dataclass(frozen=True, slots=True)
class StopSandbox:
    sandbox_id: str
    key = "sandbox"


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """A sandbox that has been replaced; what is left of its containers goes with it."""

    sandbox_id: str

    @property
    def key(self) -> str:
        return f"remove {self.sandbox_id}"


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Pull the image if need be, create, start, and run the postStart hook."""

    name: str
    kind: ContainerKind
    attempt: int

    @property
    def key(self) -> str:
        return f"container {self.name}"


@dataclass(frozen=True, slots=True)
class KillContainer:
    """preStop hook, SIGTERM, and SIGKILL after `grace_s` in all."""

    container_id: str
    name: str
    grace_s: float
    reason: str
    message: str

    @property
    def key(self) -> str:
        return f"kill {self.container_id} {self.grace_s:g}"


@dataclass(frozen=True, slots=True)
class ResizeContainer:
    """Give a running container the CPU and memory that its pod now asks for."""

    container_id: str
    name: str

    @property
    def key(self) -> str:
        return f"resize {self.container_id}"


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    container_id: str

    @property
    def key(self) -> str:
        return f"remove {self.container_id}"


@dataclass(frozen=True, slots=True)
class TearDown:
    """Unmount, and remove every container and sandbox when the pod leaves the node."""

    remove: bool
    key = "teardown"


@dataclass(frozen=True, slots=True)
class Finish:
    """Tell the API that the pod is gone."""

    key = "finish"


@dataclass(frozen=True, slots=True)
class Report:
    """An event about the pod, or about one of its containers when `container` is given."""

    type: str
    reason: str
    message: str
    container: str = ""
    key = ""


Action = (
    MountVolumes
    | CreateSandbox
    | StopSandbox
    | RemoveSandbox
    | StartContainer
    | KillContainer
    | ResizeContainer
    | RemoveContainer
    | TearDown
    | Finish
    | Report
)
