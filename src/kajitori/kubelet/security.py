"""From a pod's and a container's securityContext to what the runtime is told."""

from pathlib import Path

from kajitori.api.meta import Object
from kajitori.kubelet.environment import ConfigProblem
from kajitori.kubelet.runtime import (
    ImageRecord,
    NamespaceMode,
    Namespaces,
    SeccompKind,
    SeccompProfile,
    Security,
)

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
SECCOMP_DIR = Path("/var/lib/kubelet/seccomp")


def seccomp_profile(*contexts: Object | None) -> SeccompProfile:
    """The first context that says something; Unconfined by default, as upstream."""
    for context in contexts:
        profile = (context or {}).get("seccompProfile")
        if profile:
            kind = SeccompKind(profile.get("type") or "Unconfined")
            local = str(SECCOMP_DIR / (profile.get("localhostProfile") or "")) if kind is SeccompKind.LOCALHOST else ""
            return SeccompProfile(kind, local)
    return SeccompProfile(SeccompKind.UNCONFINED)


def pod_namespaces(pod: Object, target_id: str = "") -> Namespaces:
    spec = pod["spec"]
    pid = NamespaceMode.CONTAINER
    if spec.get("hostPID"):
        pid = NamespaceMode.NODE
    elif spec.get("shareProcessNamespace"):
        pid = NamespaceMode.POD
    elif target_id:
        pid = NamespaceMode.TARGET
    return Namespaces(
        network=NamespaceMode.NODE if spec.get("hostNetwork") else NamespaceMode.POD,
        pid=pid,
        ipc=NamespaceMode.NODE if spec.get("hostIPC") else NamespaceMode.POD,
        target_id=target_id,
    )


def _first(key: str, *contexts: Object) -> int | None:
    return next((int(context[key]) for context in contexts if context.get(key) is not None), None)


def container_security(
    pod: Object, container: Object, image: ImageRecord | None, extra_groups: tuple[int, ...] = ()
) -> Security:
    """Raises ConfigProblem when `runAsNonRoot` does not hold."""
    of_pod = pod["spec"].get("securityContext") or {}
    own = container.get("securityContext") or {}
    user, group = _first("runAsUser", own, of_pod), _first("runAsGroup", own, of_pod)
    non_root = own.get("runAsNonRoot", of_pod.get("runAsNonRoot"))
    _check_non_root(pod, container, image, user, required=bool(non_root))
    capabilities = own.get("capabilities") or {}
    privileged = bool(own.get("privileged"))
    unmasked = privileged or own.get("procMount") == "Unmasked"
    groups = [*(of_pod.get("supplementalGroups") or ()), *extra_groups]
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    run_as_user, username = user, ""
    if user is None and image is not None and image.username:
        username = image.username
    elif user is None and image is not None:
        run_as_user = image.uid
    return Security(
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        privileged=privileged,
        run_as_user=run_as_user,
        run_as_group=group,
        run_as_username=username,
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        supplemental_groups=tuple(dict.fromkeys(groups)),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        masked_paths=() if unmasked else MASKED_PATHS,
        read_only_paths=() if unmasked else READ_ONLY_PATHS,
        seccomp=SeccompProfile(SeccompKind.UNCONFINED) if privileged else seccomp_profile(own, of_pod),
    )


def _check_non_root(
    pod: Object, container: Object, image: ImageRecord | None, user: int | None, *, required: bool
) -> None:
    if not required:
        return
    where = f'(pod: "{pod["metadata"]["name"]}_{pod["metadata"]["namespace"]}({pod["metadata"]["uid"]})", '
    where += f"container: {container['name']})"
    if user == 0:
        raise ConfigProblem(f"container's runAsUser breaks non-root policy {where}")
    if user is not None or image is None:
        return
    if image.username:
        raise ConfigProblem(
            f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
            f"cannot verify user is non-root {where}"
        )
    if not image.uid:
        raise ConfigProblem(f"container has runAsNonRoot and image will run as root {where}")
