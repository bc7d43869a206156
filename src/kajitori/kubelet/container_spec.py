"""One container as the runtime is told to make it: everything resolved, nothing left to decide."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from kajitori.api.meta import Object, name_of, namespace_of, uid_of
from kajitori.kubelet import labels
from kajitori.kubelet.expansion import expand
from kajitori.kubelet.pod_state import ContainerKind
from kajitori.kubelet.resizing import note
from kajitori.kubelet.runtime import ContainerConfig, ContainerRecord, Mount, Namespaces, Resources, Security


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the shell found out for a container before it is made."""

    image: str
    attempt: int
    kind: ContainerKind
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    resources: Resources
    security: Security
    namespaces: Namespaces
    termination_host_path: str


def pod_labels(pod: Object) -> dict[str, str]:
    return {labels.POD_NAME: name_of(pod), labels.POD_NAMESPACE: namespace_of(pod), labels.POD_UID: uid_of(pod)}


def container_hash(container: Object) -> str:
    """Changes when the container must be made anew: its name and image."""
    essence = json.dumps({"name": container["name"], "image": container["image"]}, sort_keys=True)
    return hashlib.sha256(essence.encode()).hexdigest()[:8]


def has_changed(container: Object, record: ContainerRecord) -> bool:
    """Whether the pod now asks for another container than the one that was made."""
    return record.annotations.get(labels.CONTAINER_HASH, "") not in ("", container_hash(container))


def log_path(container: str, attempt: int) -> str:
    """Below the sandbox's log directory."""
    return f"{container}/{attempt}.log"


def container_config(pod: Object, container: Object, resolved: Resolved) -> ContainerConfig:
    environment = resolved.environment
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    return ContainerConfig(
        name=container["name"],
        attempt=resolved.attempt,
        image=resolved.image,
        command=tuple(expand(word, environment) for word in container.get("command") or ()),
        args=tuple(expand(word, environment) for word in container.get("args") or ()),
        working_dir=container.get("workingDir") or "",
        env=tuple(environment.items()),
        mounts=resolved.mounts,
        labels={**pod_labels(pod), labels.CONTAINER_NAME: container["name"]},
        annotations={
            labels.CONTAINER_HASH: container_hash(container),
            labels.RESTART_COUNT: str(resolved.attempt),
            labels.TERMINATION_PATH: container.get("terminationMessagePath") or "",
            labels.TERMINATION_POLICY: container.get("terminationMessagePolicy") or "File",
            labels.TERMINATION_HOST_PATH: resolved.termination_host_path,
            labels.CONTAINER_RESOURCES: note(container),
            labels.CONTAINER_KIND: str(resolved.kind),
            labels.POD_GRACE_PERIOD: str(30 if grace is None else grace),
        },
        log_path=log_path(container["name"], resolved.attempt),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        resources=resolved.resources,
        security=resolved.security,
        namespaces=resolved.namespaces,
    )
