"""What the node agent asks of a container runtime, in its own words: deciding needs no gRPC, and tests no containerd.

Errors: RuntimeFailure (the runtime refused; its message), of which RuntimeUnavailable (cannot be reached; try later),
RuntimeNotFound (no such sandbox, container or image) and RuntimeDeadline (too slow) are kinds.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Protocol


class RuntimeFailure(Exception):
    """The runtime refused; the message is its own."""


class RuntimeUnavailable(RuntimeFailure):
    """The runtime's socket does not answer."""


class RuntimeNotFound(RuntimeFailure):
    """No such sandbox, container or image."""


class RuntimeDeadline(RuntimeFailure):
    """The call took longer than it was given."""


class ContainerState(Enum):
    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class NamespaceMode(Enum):
    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class SeccompKind(StrEnum):
    RUNTIME_DEFAULT = "RuntimeDefault"
    UNCONFINED = "Unconfined"
    LOCALHOST = "Localhost"


@dataclass(frozen=True, slots=True)
class SeccompProfile:
    kind: SeccompKind
    path: str = ""


@dataclass(frozen=True, slots=True)
class PortMapping:
    protocol: str
    container_port: int
    host_port: int
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class DnsConfig:
    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespaces:
    network: NamespaceMode = NamespaceMode.POD
    pid: NamespaceMode = NamespaceMode.CONTAINER
    ipc: NamespaceMode = NamespaceMode.POD
    target_id: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """Linux cgroup settings; 0 leaves one unset. CPU period and quota are in microseconds."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_limit_bytes: int = 0
    oom_score_adj: int = 0
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    name: str
    uid: str
    namespace: str
    attempt: int = 0
    hostname: str = ""
    log_directory: str = ""
    dns: DnsConfig | None = None
    port_mappings: tuple[PortMapping, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cgroup_parent: str = ""
    namespaces: Namespaces = Namespaces()
    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    privileged: bool = False
    seccomp: SeccompProfile = SeccompProfile(SeccompKind.RUNTIME_DEFAULT)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    runtime_handler: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    container_path: str
    host_path: str
    read_only: bool = False
    propagation: str = "None"
    """As in a VolumeMount: None, HostToContainer or Bidirectional."""


@dataclass(frozen=True, slots=True)
class Device:
    container_path: str
    host_path: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    read_only_root: bool = False
    supplemental_groups: tuple[int, ...] = ()
    no_new_privileges: bool = False
    masked_paths: tuple[str, ...] = ()
    read_only_paths: tuple[str, ...] = ()
    seccomp: SeccompProfile = SeccompProfile(SeccompKind.UNCONFINED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    name: str
    attempt: int
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    resources: Resources = Resources()
    security: Security = Security()
    namespaces: Namespaces = Namespaces()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRecord:
    id: str
    name: str
    namespace: str
    uid: str
    attempt: int
    ready: bool
    created_s: float
    ips: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRecord:
    """Times are seconds since the epoch, 0 when it has not happened."""

    id: str
    sandbox_id: str
    name: str
    attempt: int
    state: ContainerState
    created_s: float = 0.0
    started_s: float = 0.0
    finished_s: float = 0.0
    exit_code: int = 0
    image: str = ""
    image_ref: str = ""
    reason: str = ""
    message: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size_bytes: int
    uid: int | None = None
    username: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUsage:
    container_id: str
    timestamp_s: float
    cpu_total_ns: int = 0
    memory_working_set_bytes: int = 0
    memory_usage_bytes: int = 0
    memory_rss_bytes: int = 0
    memory_page_faults: int = 0
    memory_major_page_faults: int = 0
    disk_used_bytes: int = 0
    disk_inodes_used: int = 0


@dataclass(frozen=True, slots=True)
class ExecResult:
    stdout: bytes
    stderr: bytes
    exit_code: int


class RuntimeEventKind(StrEnum):
    STARTED = "started"
    EXITED = "exited"
    OUT_OF_MEMORY = "oom"


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something happened to a container or sandbox (the runtime gives both one space of ids)."""

    kind: RuntimeEventKind
    container_id: str


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class RuntimeHealth:
    """Empty strings mean healthy; else the runtime's own reason."""

    runtime_problem: str = ""
    network_problem: str = ""


class Runtime(Protocol):
    async def version(self) -> RuntimeVersion: ...

    async def health(self) -> RuntimeHealth: ...

    async def run_sandbox(self, config: SandboxConfig) -> str: ...

    async def stop_sandbox(self, sandbox_id: str) -> None: ...

    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    async def sandboxes(self, pod_uid: str = "") -> Sequence[SandboxRecord]:
        """All of this node, or one pod's; newest first, with IPs only when one pod is asked for."""

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str: ...

    async def start_container(self, container_id: str) -> None: ...

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after `grace_s`; returns when it has exited."""

    async def remove_container(self, container_id: str) -> None: ...

    async def containers(self, pod_uid: str) -> Sequence[ContainerRecord]:
        """A pod's containers with their full status, newest first."""

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: float) -> ExecResult: ...

    async def exec_url(
        self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> str: ...

    async def attach_url(self, container_id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> str: ...

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str: ...

    async def reopen_log(self, container_id: str) -> None: ...

    async def update_resources(self, container_id: str, resources: Resources) -> None: ...

    async def usage(self) -> Sequence[ContainerUsage]: ...

    async def image(self, name: str) -> ImageRecord | None: ...

    async def images(self) -> Sequence[ImageRecord]: ...

    async def pull_image(self, name: str) -> str: ...

    async def remove_image(self, name: str) -> None: ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Endless; raises RuntimeUnavailable when the runtime goes away."""
