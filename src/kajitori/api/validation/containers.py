"""Containers: ports, environment, mounts, probes, handlers, security."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kajitori.api.field_errors import duplicate, forbidden, invalid, not_found, required
from kajitori.api.meta import Object
from kajitori.api.validation.checks import (
    Errors,
    distinct,
    each,
    limited,
    must,
    must_be_given,
    no_backsteps,
    not_negative,
    one_of,
    optional_one_of,
    port_number,
    port_number_or_name,
    positive,
    relative_path,
    unsupported,
    when_given,
)
from kajitori.api.validation.downward import env_field_reference, resource_field_reference
from kajitori.api.validation.formats import (
    config_key_errors,
    env_name_errors,
    header_errors,
    label_errors,
    port_name_errors,
    subdomain_errors,
)
from kajitori.api.validation.resources import requirements
from kajitori.api.validation.security import container_security

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_ENV_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")


@dataclass(frozen=True, slots=True)
class PodContext:
    """What a container's checks need to know of its pod. Volume names include those of a StatefulSet's claims."""

    volumes: frozenset[str] = frozenset()
    block_volumes: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()
    grace_period_s: int = 30
    names: set[str] = field(default_factory=set)


def main_containers(path: str, containers: Sequence[Object], context: PodContext) -> Errors:
    if not containers:
        yield required(path)
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common(at, container, context)
        yield from _unique_name(at, container, context)
        yield from _lifecycle(f"{at}.lifecycle", container.get("lifecycle"), context)
        yield from _probes(at, container, context)
        yield from _restart_rules(at, container)
    yield from _host_port_conflicts(path, containers)


def init_containers(path: str, containers: Sequence[Object], context: PodContext) -> Errors:
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common(at, container, context)
        yield from _restart_rules(at, container)
        yield from _unique_name(at, container, context)
        yield from _host_port_conflicts(path, [container], first=index)
        if container.get("restartPolicy") == "Always":
            yield from _lifecycle(f"{at}.lifecycle", container.get("lifecycle"), context)
            yield from _probes(at, container, context)
        else:
            if container.get("lifecycle") is not None:
                yield forbidden(f"{at}.lifecycle", "may not be set for init containers without restartPolicy=Always")
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                if container.get(probe) is not None:
                    yield forbidden(f"{at}.{probe}", "may not be set for init containers without restartPolicy=Always")


_NOT_EPHEMERAL = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy")


def ephemeral_containers(path: str, containers: Sequence[Object], context: PodContext) -> Errors:
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        yield from _common(at, container, context)
        yield from _unique_name(at, container, context)
        target = container.get("targetContainerName")
        if target and target not in context.names:
            yield not_found(f"{at}.targetContainerName", target)
        for name in _NOT_EPHEMERAL:
            if container.get(name):
                yield forbidden(f"{at}.{name}", "cannot be set for an Ephemeral Container")
        if any((container.get("resources") or {}).values()):
            yield forbidden(f"{at}.resources", "cannot be set for an Ephemeral Container")
        for mount, mount_at in each(container, "volumeMounts", at):
            if mount.get("subPath"):
                yield forbidden(f"{mount_at}.subPath", "cannot be set for an Ephemeral Container")
            if mount.get("subPathExpr"):
                yield forbidden(f"{mount_at}.subPathExpr", "cannot be set for an Ephemeral Container")


def _unique_name(path: str, container: Object, context: PodContext) -> Errors:
    name = container.get("name") or ""
    if name and name in context.names:
        yield duplicate(f"{path}.name", name)
    context.names.add(name)


def _common(path: str, container: Object, context: PodContext) -> Errors:
    yield from must_be_given(f"{path}.name", container.get("name"), label_errors)
    image = container.get("image") or ""
    if not image:
        yield required(f"{path}.image")
    elif image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("terminationMessagePolicy")
    yield from one_of(f"{path}.terminationMessagePolicy", policy, ("File", "FallbackToLogsOnError"))
    yield from _ports(path, container)
    yield from _environment(path, container)
    yield from _mounts(path, container, context)
    yield from _devices(path, container, context)
    yield from one_of(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    yield from requirements(f"{path}.resources", container.get("resources"), context.claims)
    yield from _resize_policy(path, container)
    yield from container_security(f"{path}.securityContext", container.get("securityContext"))


def _ports(path: str, container: Object) -> Errors:
    names: set[str] = set()
    for port, at in each(container, "ports", path):
        if name := port.get("name"):
            problems = port_name_errors(name)
            yield from must(f"{at}.name", name, problems)
            if not problems and name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            yield required(f"{at}.containerPort")
        else:
            yield from port_number(f"{at}.containerPort", port["containerPort"])
        if port.get("hostPort"):
            yield from port_number(f"{at}.hostPort", port["hostPort"])
        yield from one_of(f"{at}.protocol", port.get("protocol"), _PROTOCOLS)


def _host_port_conflicts(path: str, containers: Sequence[Object], first: int = 0) -> Errors:
    def taken() -> Iterator[tuple[str, str]]:
        for index, container in enumerate(containers, first):
            for port, at in each(container, "ports", f"{path}[{index}]"):
                if port.get("hostPort"):
                    address = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{port['hostPort']}"
                    yield f"{at}.hostPort", address

    yield from distinct(taken())


def _environment(path: str, container: Object) -> Errors:
    for variable, at in each(container, "env", path):
        yield from must_be_given(f"{at}.name", variable.get("name"), env_name_errors)
        if (source := variable.get("valueFrom")) is not None:
            yield from _env_source(f"{at}.valueFrom", source, bool(variable.get("value")))
    for source, at in each(container, "envFrom", path):
        yield from when_given(f"{at}.prefix", source.get("prefix"), env_name_errors)
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for name in given:
            yield from must_be_given(f"{at}.{name}.name", source[name].get("name"), subdomain_errors)
        if not given:
            yield invalid(f"{path}.envFrom", "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield invalid(f"{path}.envFrom", "", "may not have more than one field specified at a time")


def _env_source(path: str, source: Object, has_value: bool) -> Errors:
    given = [name for name in _ENV_SOURCES if source.get(name) is not None]
    if "fieldRef" in given:
        yield from env_field_reference(f"{path}.fieldRef", source["fieldRef"])
    if "resourceFieldRef" in given:
        yield from resource_field_reference(f"{path}.resourceFieldRef", source["resourceFieldRef"], of_volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in given:
            reference = source[name]
            at = f"{path}.{name}"
            yield from must(f"{at}.name", reference.get("name") or "", subdomain_errors(reference.get("name") or ""))
            yield from must_be_given(f"{at}.key", reference.get("key"), config_key_errors)
    if "fileKeyRef" in given:
        reference = source["fileKeyRef"]
        yield from must_be_given(f"{path}.fileKeyRef.key", reference.get("key"), env_name_errors)
        yield from must_be_given(f"{path}.fileKeyRef.volumeName", reference.get("volumeName"), label_errors)
        if not reference.get("path"):
            yield required(f"{path}.fileKeyRef.path")
        else:
            yield from relative_path(f"{path}.fileKeyRef.path", reference["path"])
    if not given:
        listed = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(path, "", f"must specify one of: {listed}")
    elif has_value:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _mounts(path: str, container: Object, context: PodContext) -> Errors:
    devices = container.get("volumeDevices") or ()
    mounted: set[str] = set()
    for mount, at in each(container, "volumeMounts", path):
        name, mount_path = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{at}.name")
        if name not in context.volumes:
            yield not_found(f"{at}.name", name)
        if not mount_path:
            yield required(f"{at}.mountPath")
        if mount_path in mounted:
            yield invalid(f"{at}.mountPath", mount_path, "must be unique")
        mounted.add(mount_path)
        if any(device.get("name") == name for device in devices):
            yield invalid(f"{at}.name", name, "must not already exist in volumeDevices")
        if any(device.get("devicePath") == mount_path for device in devices):
            yield invalid(f"{at}.mountPath", mount_path, "must not already exist as a path in volumeDevices")
        every = f"{path}.volumeMounts"  # upstream does not say which
        if mount.get("subPath"):
            yield from relative_path(f"{every}.subPath", mount["subPath"])
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                yield invalid(
                    f"{at}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"
                )
            yield from relative_path(f"{every}.subPathExpr", mount["subPathExpr"])
        yield from _propagation(every, mount, container)


def _propagation(every: str, mount: Object, container: Object) -> Errors:
    propagation = mount.get("mountPropagation")
    yield from optional_one_of(f"{every}.mountPropagation", propagation, _PROPAGATIONS)
    privileged = (container.get("securityContext") or {}).get("privileged")
    if propagation == "Bidirectional" and not privileged:
        detail = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden(f"{every}.mountPropagation", detail)
    recursive, at = mount.get("recursiveReadOnly"), f"{every}.recursiveReadOnly"
    if recursive in (None, "Disabled"):
        return
    if recursive not in ("Enabled", "IfPossible"):
        yield unsupported(at, recursive, ("Disabled", "Enabled", "IfPossible"))
        return
    if not mount.get("readOnly"):
        yield forbidden(at, "may only be specified when readOnly is true")
    if propagation not in (None, "None"):
        yield forbidden(at, "may only be specified when mountPropagation is None or not specified")


def _devices(path: str, container: Object, context: PodContext) -> Errors:
    mounts = container.get("volumeMounts") or ()
    names: set[str] = set()
    paths: set[str] = set()
    for device, at in each(container, "volumeDevices", path):
        name, device_path = device.get("name") or "", device.get("devicePath") or ""
        if not name:
            yield required(f"{at}.name")
        if name in names:
            yield invalid(f"{at}.name", name, "must be unique")
        if name not in context.volumes:
            yield not_found(f"{at}.name", name)
        elif name not in context.block_volumes:
            yield invalid(f"{at}.name", name, "can only use volume source type of PersistentVolumeClaim for block mode")
        if not device_path:
            yield required(f"{at}.devicePath")
        if device_path in paths:
            yield invalid(f"{at}.devicePath", device_path, "must be unique")
        yield from no_backsteps(f"{at}.devicePath", device_path)
        names.add(name)
        paths.add(device_path)
        if any(mount.get("name") == name for mount in mounts):
            yield invalid(f"{at}.name", name, "must not already exist in volumeMounts")
        if any(mount.get("mountPath") == device_path for mount in mounts):
            yield invalid(f"{at}.devicePath", device_path, "must not already exist as a path in volumeMounts")


def _resize_policy(path: str, container: Object) -> Errors:
    seen: set[str] = set()
    for policy, at in each(container, "resizePolicy", path):
        name = policy.get("resourceName") or ""
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)
        of_all = f"{path}.resizePolicy"  # upstream does not say which
        for value, supported in (
            (name, ("cpu", "memory")),
            (policy.get("restartPolicy") or "", ("NotRequired", "RestartContainer")),
        ):
            yield from one_of(of_all, value, supported) if value else iter((required(of_all),))


def _restart_rules(path: str, container: Object) -> Errors:
    """A container's own restart policy (KEP-753, KEP-5307)."""
    policy = container.get("restartPolicy")
    if policy is not None and policy not in _RESTART_POLICIES:
        yield unsupported(f"{path}.restartPolicy", policy, _RESTART_POLICIES)
    if container.get("restartPolicyRules") and policy is None:
        yield required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
    for rule, at in each(container, "restartPolicyRules", path):
        yield from one_of(f"{at}.action", rule.get("action"), ("Restart", "RestartAllContainers"))
        codes = rule.get("exitCodes")
        if codes is None:
            yield required(f"{at}.exitCodes", "must be specified")
            continue
        yield from one_of(f"{at}.exitCodes.operator", codes.get("operator"), ("In", "NotIn"))
        yield from limited(f"{at}.exitCodes.values", codes.get("values"), 255)


def _probes(path: str, container: Object, context: PodContext) -> Errors:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        at = f"{path}.{name}"
        yield from _probe(at, probe, context)
        if name == "readinessProbe":
            if probe.get("terminationGracePeriodSeconds") is not None:
                seconds = probe["terminationGracePeriodSeconds"]
                yield invalid(f"{at}.terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes")
        elif probe.get("successThreshold") != 1:
            yield invalid(f"{at}.successThreshold", probe.get("successThreshold", 0), "must be 1")


def _probe(path: str, probe: Object, context: PodContext) -> Errors:
    yield from _handler(path, probe, context, required_detail="must specify a handler type")
    for name in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        yield from not_negative(f"{path}.{name}", probe.get(name))
    grace = probe.get("terminationGracePeriodSeconds")
    yield from positive(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0")


def _lifecycle(path: str, lifecycle: Object | None, context: PodContext) -> Errors:
    for name in ("postStart", "preStop"):
        if lifecycle and (handler := lifecycle.get(name)) is not None:
            yield from _handler(f"{path}.{name}", handler, context, required_detail="must specify a handler type")


def _handler(path: str, handler: Object, context: PodContext, *, required_detail: str) -> Errors:
    given = [name for name in _HANDLERS if handler.get(name) is not None]
    if not given:
        yield required(path, required_detail)
    for index, name in enumerate(given):
        at = f"{path}.{name}"
        if index:
            yield forbidden(at, "may not specify more than 1 handler type")
            continue
        action = handler[name]
        if name == "exec" and not action.get("command"):
            yield required(f"{at}.command")
        elif name == "httpGet":
            yield from _http_get(at, action)
        elif name == "tcpSocket":
            yield from port_number_or_name(f"{at}.port", action.get("port", 0))
        elif name == "grpc":
            yield from port_number(f"{at}.port", action.get("port", 0))
        elif name == "sleep":
            seconds, most = action.get("seconds", 0), context.grace_period_s
            if not 0 <= seconds <= most:
                detail = f"must be non-negative and less than terminationGracePeriodSeconds ({most})"
                yield invalid(at, seconds, detail)


def _http_get(path: str, action: Object) -> Errors:
    if not action.get("path"):
        yield required(f"{path}.path")
    yield from port_number_or_name(f"{path}.port", action.get("port", 0))
    yield from one_of(f"{path}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
    for header in action.get("httpHeaders") or ():
        yield from must(f"{path}.httpHeaders", header.get("name") or "", header_errors(header.get("name") or ""))
