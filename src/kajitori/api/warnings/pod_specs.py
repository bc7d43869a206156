"""Pods and their templates: what works, but hardly as its author meant."""

from collections.abc import Iterator
from typing import Any

from kajitori.api.meta import Object
from kajitori.api.remembering import remembering_valid
from kajitori.api.validation.formats import label_errors
from kajitori.api.warnings.addresses import address_warnings
from kajitori.api.warnings.mounted_paths import overlapping_paths
from kajitori.api.warnings.placement import deprecated_label, term_warnings
from kajitori.api.warnings.volumes import GONE, claim_spec_warnings, fraction_warning, gone

_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_SECCOMP_OF_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_OF_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_APPARMOR_OF_CONTAINER = "container.apparmor.security.beta.kubernetes.io/"
_APPARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_BYTES = ("memory", "ephemeral-storage")


def pod_warnings(new: Object, old: Object | None) -> list[str]:
    """Of a new pod; a change of one warns of nothing."""
    if old is not None:
        return []
    found = []
    if problems := label_errors(new["metadata"].get("name") or ""):
        found.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label "
            f"is recommended: [{' '.join(problems)}]"
        )
    if new["metadata"].get("annotations"):
        return [*found, *template_warnings("", new)]
    return found + _of_spec(new["spec"])


@remembering_valid(entries_max=4096, bytes_max=64 * 1024)
def _of_spec(spec: Object) -> list[str]:
    """Of a pod without annotations."""
    return list(template_warnings("", {"spec": spec}))


def template_warnings(path: str, template: Object) -> Iterator[str]:
    """`path` of the template; empty for a pod, which is its own."""
    prefix = f"{path}." if path else ""
    at, spec = f"{prefix}spec", template.get("spec") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    yield from _placement(at, spec)
    for key, why in _ANNOTATIONS.items():
        if key in annotations:
            yield f"{prefix}metadata.annotations[{key}]: {why}"
    for index, volume in enumerate(spec.get("volumes") or ()):
        yield from _volume(f"{at}.volumes[{index}]", volume)
    yield from overlapping_paths(spec.get("volumes") or ())
    yield from _repeated(at, spec)
    for name in _BYTES:
        yield from fraction_warning(f"{at}.overhead", spec.get("overhead"), name)
    yield from _profiles(prefix, spec, annotations)
    containers = [
        (f"{at}.{group}[{index}]", container)
        for group in _CONTAINERS
        for index, container in enumerate(spec.get(group) or ())
    ]
    for where, container in containers:
        yield from _container(where, container, f"{prefix}metadata.annotations", annotations, spec, bool(path))
    if any(container.get("ports") for _, container in containers):
        yield from _ports(containers)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield (
            f"{at}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    yield from _affinity(f"{at}.affinity", spec.get("affinity") or {})
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        yield from address_warnings(f"{at}.dnsConfig.nameservers[{index}]", server)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        yield from address_warnings(f"{at}.hostAliases[{index}].ip", alias.get("ip") or "")


def _placement(at: str, spec: Object) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if why := deprecated_label(key):
            yield f"{at}.nodeSelector[{key}]: {why}"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    path = f"{at}.affinity.nodeAffinity"
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for index, term in enumerate(required.get("nodeSelectorTerms") or ()):
        yield from term_warnings(
            f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]", term
        )
    for index, term in enumerate(affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
        where = f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference"
        yield from term_warnings(where, term.get("preference") or {}, values_too=True)
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        where, key = f"{at}.topologySpreadConstraints[{index}]", constraint.get("topologyKey", "")
        if why := deprecated_label(key):
            yield f"{where}.topologyKey: {key} is {why}"
        if constraint.get("labelSelector") is None:
            yield f"{where}.labelSelector: {_NO_SELECTOR}"


def _volume(at: str, volume: Object) -> Iterator[str]:
    for kind in volume:
        if kind in GONE:
            yield gone(at, kind)
    if claim := (volume.get("ephemeral") or {}).get("volumeClaimTemplate"):
        yield from claim_spec_warnings(f"{at}.ephemeral.volumeClaimTemplate.spec", claim.get("spec") or {})


def _repeated(at: str, spec: Object) -> Iterator[str]:
    seen: set[Any] = set()
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        if (address := alias.get("ip") or "") in seen:
            yield f'{at}.hostAliases[{index}].ip: duplicate ip "{address}"'
        seen.add(address)
    names = [secret.get("name") or "" for secret in spec.get("imagePullSecrets") or ()]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f'{at}.imagePullSecrets[{index}].name: duplicate name "{name}"'
    for index, name in enumerate(names):
        if not name:
            yield f'{at}.imagePullSecrets[{index}].name: invalid empty name ""'


def _profiles(prefix: str, spec: Object, annotations: Object) -> Iterator[str]:
    if _SECCOMP_OF_POD in annotations and not (spec.get("securityContext") or {}).get("seccompProfile"):
        yield f"{prefix}metadata.annotations[{_SECCOMP_OF_POD}]: {_SECCOMP}"


def _container(
    at: str, container: Object, annotations_at: str, annotations: Object, spec: Object, templated: bool
) -> Iterator[str]:
    if annotations:
        security, name = container.get("securityContext") or {}, container.get("name", "")
        if (key := _SECCOMP_OF_CONTAINER + name) in annotations and not security.get("seccompProfile"):
            yield f"{annotations_at}[{key}]: {_SECCOMP}"
        if templated and (key := _APPARMOR_OF_CONTAINER + name) in annotations and not security.get("appArmorProfile"):
            of_pod = (spec.get("securityContext") or {}).get("appArmorProfile")
            if of_pod is None or of_pod != _apparmor_profile(annotations[key]):
                yield f"{annotations_at}[{key}]: {_APPARMOR}"
    if resources := container.get("resources"):
        for name in _BYTES:
            for group in ("limits", "requests"):
                yield from fraction_warning(f"{at}.resources.{group}", resources.get(group), name)
    yield from _hidden_variables(at, container.get("env") or ())


def _apparmor_profile(annotation: str) -> Object | None:
    """The field that says what the annotation said."""
    if annotation in ("unconfined", "runtime/default"):
        return {"type": "Unconfined" if annotation == "unconfined" else "RuntimeDefault"}
    kind, slash, name = annotation.partition("/")
    return {"type": "Localhost", "localhostProfile": name} if kind == "localhost" and slash and name else None


def _hidden_variables(at: str, variables: Any) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name, value = variable.get("name", ""), variable.get("value") or ""
        reference = f"$({name})"
        if name in seen and (variable.get("valueFrom") or value == reference or reference not in value):
            yield f'{at}.env[{index}]: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(containers: list[tuple[str, Object]]) -> Iterator[str]:
    """The ports of a pod's containers are ports of one network."""
    ports = [
        (f"{at}.ports[{index}]", port)
        for at, container in containers
        for index, port in enumerate(container.get("ports") or ())
    ]
    others: dict[tuple[Any, Any], list[tuple[str, Object]]] = {}
    for at, port in ports:
        if port.get("hostIP") and not port.get("hostPort"):
            yield f"{at}: hostIP set without hostPort: {_as_go_prints(port)}"
        same = others.setdefault((port.get("containerPort"), port.get("protocol")), [])
        for where, other in same:
            if what := _clash(port, other):
                yield f"{at}: {what} port definition with {where}"
        same.append((at, port))
    names: dict[str, str] = {}
    for at, port in ports:
        if not (name := port.get("name")):
            continue
        if first := names.get(name):
            yield (
                f'{at}: duplicate port name "{name}" with {first}, services and probes that select ports by name will '
                f"use {first}"
            )
        names.setdefault(name, at)


def _clash(port: Object, other: Object) -> str:
    here, there = port.get("hostPort") or 0, other.get("hostPort") or 0
    ip, other_ip = port.get("hostIP") or "", other.get("hostIP") or ""
    if (ip, here) == (other_ip, there):
        return "duplicate"
    if not here or not there:
        return "overlapping"
    return "dangerously ambiguous" if here == there and (not ip or not other_ip) else ""


def _as_go_prints(port: Object) -> str:
    return (
        f"{{Name:{port.get('name') or ''} HostPort:{port.get('hostPort') or 0} ContainerPort:"
        f"{port.get('containerPort') or 0} Protocol:{port.get('protocol') or ''} HostIP:{port.get('hostIP') or ''}}}"
    )


def _affinity(at: str, affinity: Object) -> Iterator[str]:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        for index, term in enumerate(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()):
            if term.get("labelSelector") is None:
                where = f"{at}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{index}]"
                yield f"{where}.labelSelector: {_NO_SELECTOR}"
        for index, term in enumerate(rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                where = f"{at}.{kind}.preferredDuringSchedulingIgnoredDuringExecution[{index}]"
                yield f"{where}.podAffinityTerm.labelSelector: {_NO_SELECTOR}"
