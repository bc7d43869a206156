"""The Pod Security Standards, baseline and restricted, as a table of checks. Pure.

Source: the "Pod Security Standards" page and KEP-2579. A check gives the reason and the detail of what it forbids.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from kajitori.api.meta import Object
from kajitori.api.pods import SAFE_SYSCTLS

LATEST = 1 << 30
"""The minor version that no release has reached."""
PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"


class Violation(NamedTuple):
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Object, Object], Violation | None]
"""(metadata, spec) of a pod or of a pod template."""

_DEFAULT_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_RESTRICTED_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_SECCOMP = ("RuntimeDefault", "Localhost")
_APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def violations(level: str, metadata: Object, spec: Object, minor: int = LATEST) -> list[Violation]:
    """Everything about a pod that a level forbids, as version 1.`minor` of the standards had it."""
    if level == PRIVILEGED:
        return []
    checks = _BASELINE
    if level == RESTRICTED:
        stricter = {old for old, new in _REPLACED.items() if minor >= _SINCE.get(new, 0)}
        checks = (*(check for check in _BASELINE if check not in stricter), *_RESTRICTED)
    windows = minor >= _WINDOWS_SINCE and (spec.get("os") or {}).get("name") == "windows"
    apart = minor >= _USER_NAMESPACES_SINCE and spec.get("hostUsers") is False
    spared = {*(_NOT_OF_WINDOWS if windows else ()), *(_NOT_OF_OWN_USERS if apart else ())}
    asked = (check for check in checks if minor >= _SINCE.get(check, 0) and check not in spared)
    judged = (_sysctls(spec, minor) if check is _all_sysctls else check(metadata, spec) for check in asked)
    return [found for found in judged if found is not None]


def _containers(spec: Object) -> Iterator[Object]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _context(holder: Object) -> Object:
    return holder.get("securityContext") or {}


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(noun: str, names: list[str]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _where(spec: Object, wrong: Callable[[Object], bool]) -> list[str]:
    return [container["name"] for container in _containers(spec) if wrong(container)]


def _host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    shared = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def _privileged(metadata: Object, spec: Object) -> Violation | None:
    names = _where(spec, lambda c: bool(_context(c).get("privileged")))
    detail = f"{_named('container', names)} must not set securityContext.privileged=true"
    return Violation("privileged", detail) if names else None


def _added(container: Object) -> list[str]:
    return (_context(container).get("capabilities") or {}).get("add") or []


def _capabilities(metadata: Object, spec: Object) -> Violation | None:
    names = _where(spec, lambda c: any(a not in _DEFAULT_CAPABILITIES for a in _added(c)))
    extra = sorted({a for c in _containers(spec) for a in _added(c) if a not in _DEFAULT_CAPABILITIES})
    detail = f"{_named('container', names)} must not include {_quoted(extra)} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail) if names else None


def _host_path(metadata: Object, spec: Object) -> Violation | None:
    names = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", _named("volume", names)) if names else None


def _host_ports(metadata: Object, spec: Object) -> Violation | None:
    found = [(c["name"], p["hostPort"]) for c in _containers(spec) for p in c.get("ports") or () if p.get("hostPort")]
    names, ports = list(dict.fromkeys(n for n, _ in found)), sorted({p for _, p in found})
    uses = f"use{'s' if len(names) == 1 else ''} hostPort{'s' if len(ports) > 1 else ''}"
    detail = f"{_named('container', names)} {uses} {', '.join(map(str, ports))}"
    return Violation("hostPort", detail) if found else None


def _app_armor(metadata: Object, spec: Object) -> Violation | None:
    forbidden = [
        f'annotation "{key}"="{value}"'
        for key, value in sorted((metadata.get("annotations") or {}).items())
        if key.startswith(_APPARMOR_ANNOTATION) and value != "runtime/default" and not value.startswith("localhost/")
    ]
    for who, holder in _holders(spec):
        if (_context(holder).get("appArmorProfile") or {}).get("type") == "Unconfined":
            forbidden.append(f'{who} must not set AppArmor profile type to "Unconfined"')
    noun = "forbidden AppArmor profile" + ("s" if len(forbidden) > 1 else "")
    return Violation(noun, ", ".join(forbidden)) if forbidden else None


def _holders(spec: Object) -> Iterator[tuple[str, Object]]:
    yield "pod", spec
    for container in _containers(spec):
        yield f'container "{container["name"]}"', container


def _selinux(metadata: Object, spec: Object) -> Violation | None:
    wrong, details = [], []
    for who, holder in _holders(spec):
        options = _context(holder).get("seLinuxOptions") or {}
        if options.get("type", "") not in _SELINUX_TYPES:
            wrong.append(who)
            details.append(f'type "{options["type"]}"')
        for field in ("user", "role"):
            if options.get(field):
                wrong.append(who)
                details.append(f"{field} may not be set")
    who_list = " and ".join(dict.fromkeys(wrong))
    verb = "set forbidden securityContext.seLinuxOptions"
    return Violation("seLinuxOptions", f"{who_list} {verb}: {'; '.join(dict.fromkeys(details))}") if wrong else None


def _proc_mount(metadata: Object, spec: Object) -> Violation | None:
    names = _where(spec, lambda c: _context(c).get("procMount", "Default") != "Default")
    detail = f'{_named("container", names)} must not set securityContext.procMount to "Unmasked"'
    return Violation("procMount", detail) if names else None


def _proc_mount_anyhow(metadata: Object, spec: Object) -> Violation | None:
    return _proc_mount(metadata, spec)


def _seccomp_unconfined(metadata: Object, spec: Object) -> Violation | None:
    wrong = [
        who
        for who, holder in _holders(spec)
        if (_context(holder).get("seccompProfile") or {}).get("type", _SECCOMP[0]) not in _SECCOMP
    ]
    detail = f'{" and ".join(wrong)} must not set securityContext.seccompProfile.type to "Unconfined"'
    return Violation("seccompProfile", detail) if wrong else None


def _all_sysctls(metadata: Object, spec: Object) -> Violation | None:
    return _sysctls(spec, LATEST)


def _sysctls(spec: Object, minor: int) -> Violation | None:
    safe = SAFE_SYSCTLS - {name for since, names in _SYSCTLS_SINCE.items() if minor < since for name in names}
    names = [s["name"] for s in _context(spec).get("sysctls") or () if s["name"] not in safe]
    return Violation("forbidden sysctls", ", ".join(names)) if names else None


def _host_process(metadata: Object, spec: Object) -> Violation | None:
    wrong = [who for who, h in _holders(spec) if (_context(h).get("windowsOptions") or {}).get("hostProcess")]
    detail = f"{' and '.join(wrong)} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", detail) if wrong else None


def _probe_hosts(metadata: Object, spec: Object) -> Violation | None:
    """KEP-4940: a probe or hook that names a host lets the node reach what the pod cannot."""
    hosts = {container["name"]: found for container in _containers(spec) if (found := list(_hosts(container)))}
    named = _named("probe or lifecycle host", sorted({host for found in hosts.values() for host in found}))
    detail = f"{_named('container', sorted(hosts))} use{'' if len(hosts) > 1 else 's'} {named}"
    return Violation("probe or lifecycle host", detail) if hosts else None


def _hosts(container: Object) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(f) or {} for f in ("livenessProbe", "readinessProbe", "startupProbe")]
    handlers += [lifecycle.get(f) or {} for f in ("postStart", "preStop")]
    for handler in handlers:
        for kind in ("httpGet", "tcpSocket"):
            if host := (handler.get(kind) or {}).get("host"):
                yield host


def _volume_types(metadata: Object, spec: Object) -> Violation | None:
    found = {
        volume["name"]: kind
        for volume in spec.get("volumes") or ()
        for kind in volume
        if kind != "name" and kind not in _RESTRICTED_VOLUMES
    }
    kinds = sorted(set(found.values()))
    uses = "use" if len(found) > 1 else "uses"
    detail = f"{_named('volume', list(found))} {uses} restricted volume {_named('type', kinds)}"
    return Violation("restricted volume types", detail) if found else None


def _escalation(metadata: Object, spec: Object) -> Violation | None:
    names = _where(spec, lambda c: _context(c).get("allowPrivilegeEscalation") is not False)
    detail = f"{_named('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail) if names else None


def _drops_all(metadata: Object, spec: Object) -> Violation | None:
    def keeps(container: Object) -> bool:
        return "ALL" not in ((_context(container).get("capabilities") or {}).get("drop") or ())

    details = []
    if undropped := _where(spec, keeps):
        details.append(f'{_named("container", undropped)} must set securityContext.capabilities.drop=["ALL"]')
    adding = _where(spec, lambda c: any(a != "NET_BIND_SERVICE" for a in _added(c)))
    extra = sorted({a for c in _containers(spec) for a in _added(c) if a != "NET_BIND_SERVICE"})
    if adding:
        where = _named("container", adding)
        details.append(f"{where} must not include {_quoted(extra)} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def _non_root(metadata: Object, spec: Object) -> Violation | None:
    of_pod = _context(spec).get("runAsNonRoot")
    explicit = _where(spec, lambda c: _context(c).get("runAsNonRoot") is False)
    silent = _where(spec, lambda c: _context(c).get("runAsNonRoot") is None)
    setters = [*(["pod"] if of_pod is False else []), *([_named("container", explicit)] if explicit else [])]
    if setters:
        detail = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        return Violation("runAsNonRoot != true", detail)
    if of_pod is None and silent:
        detail = f"pod or {_named('container', silent)} must set securityContext.runAsNonRoot=true"
        return Violation("runAsNonRoot != true", detail)
    return None


def _root_user(metadata: Object, spec: Object) -> Violation | None:
    wrong = [who for who, holder in _holders(spec) if _context(holder).get("runAsUser") == 0]
    return Violation("runAsUser=0", f"{' and '.join(wrong)} must not set runAsUser=0") if wrong else None


def _seccomp_set(metadata: Object, spec: Object) -> Violation | None:
    def kind(holder: Object) -> str | None:
        return (_context(holder).get("seccompProfile") or {}).get("type")

    wrong = [who for who, holder in _holders(spec) if kind(holder) not in (None, *_SECCOMP)]
    silent = _where(spec, lambda c: kind(c) is None)
    details = []
    if wrong:
        details.append(f'{" and ".join(wrong)} must not set securityContext.seccompProfile.type to "Unconfined"')
    if kind(spec) is None and silent:
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        details.append(f"pod or {_named('container', silent)} {must}")
    return Violation("seccompProfile", "; ".join(details)) if details else None


# In the order in which upstream lists them.
_BASELINE: tuple[Check, ...] = (
    _app_armor,
    _capabilities,
    _host_namespaces,
    _host_path,
    _host_ports,
    _probe_hosts,
    _privileged,
    _proc_mount,
    _selinux,
    _seccomp_unconfined,
    _all_sysctls,
    _host_process,
)
# What restricted replaces by something stricter.
_REPLACED: dict[Check, Check] = {
    _capabilities: _drops_all,
    _host_path: _volume_types,
    _proc_mount: _proc_mount_anyhow,
    _seccomp_unconfined: _seccomp_set,
}
_SINCE: dict[Check, int] = {
    _escalation: 8,
    _seccomp_unconfined: 19,
    _seccomp_set: 19,
    _drops_all: 22,
    _root_user: 23,
    _probe_hosts: 34,
    _proc_mount_anyhow: 35,
}
"""The minor version that brought a check, where it was not the first."""
_NOT_OF_WINDOWS, _WINDOWS_SINCE = (_escalation, _drops_all, _seccomp_set), 25
_NOT_OF_OWN_USERS, _USER_NAMESPACES_SINCE = (_proc_mount, _non_root, _root_user), 35
_SYSCTLS_SINCE = {
    27: ("net.ipv4.ip_local_reserved_ports",),
    29: (
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout"),
        *("net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
    ),
    32: ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
_RESTRICTED: tuple[Check, ...] = (
    _escalation,
    _drops_all,
    _proc_mount_anyhow,
    _volume_types,
    _non_root,
    _root_user,
    _seccomp_set,
)
