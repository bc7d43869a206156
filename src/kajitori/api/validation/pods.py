"""Pods and pod templates, and what of a running pod may still change."""

from kajitori.api.field_errors import FieldError, InOrder, duplicate, forbidden, invalid, not_found, required, too_long
from kajitori.api.meta import Object
from kajitori.api.pods import MIRROR
from kajitori.api.remembering import remembering_valid
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import (
    Errors,
    annotations,
    each,
    labels,
    must,
    must_be_given,
    one_of,
    optional_one_of,
    when_given,
    within,
)
from kajitori.api.validation.containers import (
    PodContext,
    ephemeral_containers,
    init_containers,
    main_containers,
)
from kajitori.api.validation.formats import ip_errors, label_errors, search_path_errors, subdomain_errors
from kajitori.api.validation.placement import affinity, scheduling_gates, spreading, tolerations
from kajitori.api.validation.resources import pod_level, resource_amount
from kajitori.api.validation.security import (
    ID_MAX,
    app_armor_profile,
    host_network_ports,
    seccomp_profile,
    windows_options,
)
from kajitori.api.validation.sysctls import sysctls
from kajitori.api.validation.volumes import pod_volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
_HOST_NAME_BYTES_MAX = 64
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NAMESERVERS_MAX, _SEARCHES_MAX, _SEARCH_CHARACTERS_MAX = 3, 32, 2048


def validate_new_pod(pod: Object) -> list[FieldError]:
    errors, spec = validate_pod(pod), pod.get("spec") or {}
    if spec.get("ephemeralContainers"):
        errors = [*errors, forbidden("spec.ephemeralContainers", "cannot be set on create")]
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors = [*errors, forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")]
    return errors


def revalidate_pod(new: Object, _old: Object) -> list[FieldError]:
    return validate_pod(new)


def validate_pod(pod: Object) -> list[FieldError]:
    spec = pod.get("spec") or {}
    if any(volume.get("ephemeral") is not None for volume in spec.get("volumes") or ()):
        errors = _errors_of(spec, pod["metadata"].get("name") or "")
    else:
        errors = _of_pod(spec)
    mirrored = (pod["metadata"].get("annotations") or {}).get(MIRROR)
    if mirrored is not None and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        return [invalid(f"metadata.annotations[{MIRROR}]", mirrored, detail), *errors]
    if mirrored is not None and spec.get("resourceClaims"):
        return [*errors, forbidden("", "static pods do not support resource claims")]
    return errors


@remembering_valid(entries_max=4096, bytes_max=64 * 1024)
def _of_pod(spec: Object) -> list[FieldError]:
    return _errors_of(spec, "")


def _errors_of(spec: Object, name: str) -> list[FieldError]:
    """`name` is the pod's own, where it matters: its ephemeral claims are named after it."""
    errors = list(pod_spec("spec", spec, name))
    if not spec.get("serviceAccountName"):
        errors += _tokens_without_account(spec)
    return errors


def _tokens_without_account(spec: Object) -> Errors:
    for volume, at in each(spec, "volumes", "spec"):
        for source, source_at in each(volume.get("projected") or {}, "sources", f"{at}.projected"):
            if source.get("serviceAccountToken") is not None:
                detail = "must not be specified when serviceAccountName is not set"
                yield forbidden(f"{source_at}.serviceAccountToken", detail)


def pod_template(path: str, template: Object) -> Errors:
    metadata = template.get("metadata") or {}
    yield from labels(f"{path}.labels", metadata.get("labels"))
    yield from annotations(f"{path}.annotations", metadata.get("annotations"))
    spec = template.get("spec") or {}
    yield from pod_spec(f"{path}.spec", spec)
    if spec.get("ephemeralContainers"):
        yield forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def pod_spec(path: str, spec: Object, pod_name: str = "") -> Errors:
    volume_errors, volumes = pod_volumes(path, spec, pod_name)
    claimed = (name for name, v in volumes.items() if v.get("persistentVolumeClaim") or v.get("ephemeral"))
    context = PodContext(
        volumes=frozenset(volumes),
        block_volumes=frozenset(claimed),
        claims=frozenset(claim["name"] for claim in spec.get("resourceClaims") or () if claim.get("name")),
        grace_period_s=spec.get("terminationGracePeriodSeconds") or 0,
    )
    yield from volume_errors
    yield from _claims(path, spec)
    yield from main_containers(f"{path}.containers", spec.get("containers") or (), context)
    yield from init_containers(f"{path}.initContainers", spec.get("initContainers") or (), context)
    yield from ephemeral_containers(f"{path}.ephemeralContainers", spec.get("ephemeralContainers") or (), context)
    yield from pod_level(f"{path}.resources", spec)
    if spec.get("hostNetwork"):
        yield from host_network_ports(path, spec)
    yield from one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), RESTART_POLICIES)
    yield from one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS_POLICIES)
    yield from labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    yield from _security_context(path, spec)
    for reference, at in each(spec, "imagePullSecrets", path):
        if not reference.get("name"):
            yield required(f"{at}.name")
    yield from affinity(f"{path}.affinity", spec.get("affinity"))
    yield from _dns_config(path, spec)
    for gate, at in each(spec, "readinessGates", path):
        kind = gate.get("conditionType") or ""
        yield from must(f"{at}.conditionType", kind, label_key_errors(kind))
    yield from scheduling_gates(path, spec)
    yield from spreading(path, spec)
    yield from _host_users(path, spec)
    yield from _host_name(f"{path}.hostnameOverride", spec)
    yield from when_given(f"{path}.serviceAccountName", spec.get("serviceAccountName"), subdomain_errors)
    yield from when_given(f"{path}.nodeName", spec.get("nodeName"), subdomain_errors)
    yield from within(f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"), 1, ID_MAX)
    yield from when_given(f"{path}.hostname", spec.get("hostname"), label_errors)
    yield from when_given(f"{path}.subdomain", spec.get("subdomain"), label_errors)
    yield from tolerations(path, spec)
    yield from _host_aliases(path, spec)
    yield from when_given(f"{path}.priorityClassName", spec.get("priorityClassName"), subdomain_errors)
    yield from when_given(f"{path}.runtimeClassName", spec.get("runtimeClassName"), subdomain_errors)
    policy = spec.get("preemptionPolicy")
    yield from optional_one_of(f"{path}.preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    for name, quantity in (spec.get("overhead") or {}).items():
        yield from resource_amount(f"{path}.overhead[{name}]", name, quantity)
    if (system := spec.get("os")) is not None:
        if not system.get("name"):
            yield required(f"{path}.os.name")
        else:
            yield from one_of(f"{path}.os", system["name"], ("linux", "windows"))
    yield from _env_files(path, spec)


def _env_files(path: str, spec: Object) -> Errors:
    """Files of variables lie in an emptyDir, where an init container can leave them (KEP-3721)."""
    volumes = {volume.get("name"): volume for volume in spec.get("volumes") or ()}
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container, at in each(spec, kind, path):
            for variable, place in each(container, "env", at):
                reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
                if reference is None:
                    continue
                name, place = reference.get("volumeName") or "", f"{place}.valueFrom.fileKeyRef.volumeName"
                if name not in volumes:
                    yield not_found(place, name)
                elif volumes[name].get("emptyDir") is None:
                    yield invalid(place, name, "referenced volume must be of type emptyDir")


def _claims(path: str, spec: Object) -> Errors:
    names: set[str] = set()
    for claim, at in each(spec, "resourceClaims", path):
        name = claim.get("name") or ""
        if name and name in names:
            yield duplicate(f"{at}.name", name)
        else:
            yield from must_be_given(f"{at}.name", name, label_errors)
        names.add(name)
        of_claim, of_template = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        if of_claim is not None and of_template is not None:
            detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            yield invalid(at, _shown_claim(claim), detail)
        if of_claim is None and of_template is None:
            detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            yield invalid(at, _shown_claim(claim), detail)
        for field in ("resourceClaimName", "resourceClaimTemplateName"):
            if claim.get(field) is not None:
                yield from must(f"{at}.{field}", claim[field], subdomain_errors(claim[field]))


def _shown_claim(claim: Object) -> InOrder:
    return InOrder(
        Name=claim.get("name") or "",
        ResourceClaimName=claim.get("resourceClaimName"),
        ResourceClaimTemplateName=claim.get("resourceClaimTemplateName"),
    )


def _security_context(path: str, spec: Object) -> Errors:
    context = spec.get("securityContext") or {}
    at = f"{path}.securityContext"
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        yield invalid(f"{at}.shareProcessNamespace", True, "ShareProcessNamespace and HostPID cannot both be enabled")
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        yield from within(f"{at}.{name}", context.get(name), 0, ID_MAX)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        yield from within(f"{at}.supplementalGroups[{index}]", group, 0, ID_MAX)
    yield from sysctls(at, spec)
    change = context.get("fsGroupChangePolicy")
    yield from optional_one_of(f"{at}.fsGroupChangePolicy", change, ("Always", "OnRootMismatch"))
    yield from seccomp_profile(f"{at}.seccompProfile", context.get("seccompProfile"))
    yield from windows_options(f"{at}.windowsOptions", context.get("windowsOptions"))
    yield from app_armor_profile(f"{at}.appArmorProfile", context.get("appArmorProfile"))
    groups = context.get("supplementalGroupsPolicy")
    yield from optional_one_of(f"{at}.supplementalGroupsPolicy", groups, ("Merge", "Strict"))
    labels_change = context.get("seLinuxChangePolicy")
    yield from optional_one_of(f"{at}.seLinuxChangePolicy", labels_change, ("Recursive",))


def _host_name(path: str, spec: Object) -> Errors:
    """What the kernel takes for a host name, in place of everything else that says one (KEP-4762)."""
    name = spec.get("hostnameOverride")
    if name is None:
        return
    for other in ("setHostnameAsFQDN", "hostNetwork"):
        if spec.get(other):
            yield forbidden(path, f"may not be specified when {other} is true")
    if len(name.encode()) > _HOST_NAME_BYTES_MAX:
        yield too_long(path, "", _HOST_NAME_BYTES_MAX)
    yield from must(path, name, subdomain_errors(name))


def _host_users(path: str, spec: Object) -> Errors:
    if spec.get("hostUsers") is not False:
        return
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield forbidden(f"{path}.{field}", "when `hostUsers` is false")


def _dns_config(path: str, spec: Object) -> Errors:
    config, at = spec.get("dnsConfig"), f"{path}.dnsConfig"
    if spec.get("dnsPolicy") == "None":
        if config is None:
            yield required(at, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not config.get("nameservers"):
            yield required(f"{at}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
    if config is None:
        return
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _NAMESERVERS_MAX:
        yield invalid(f"{at}.nameservers", servers, f"must not have more than {_NAMESERVERS_MAX} nameservers")
    for index, server in enumerate(servers):
        yield from must(f"{at}.nameservers[{index}]", server, ip_errors(server))
    if len(searches) > _SEARCHES_MAX:
        yield invalid(f"{at}.searches", searches, f"must not have more than {_SEARCHES_MAX} search paths")
    if len(" ".join(searches)) > _SEARCH_CHARACTERS_MAX:
        detail = f"must not have more than {_SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        yield invalid(f"{at}.searches", searches, detail)
    for index, search in enumerate(searches):
        name = search.removesuffix(".")
        if name:
            yield from must(f"{at}.searches[{index}]", search, search_path_errors(name))
    for option, option_at in each(config, "options", at):
        if not option.get("name"):
            yield required(option_at, "must not be empty")


def _host_aliases(path: str, spec: Object) -> Errors:
    for alias, at in each(spec, "hostAliases", path):
        address = alias.get("ip") or ""
        yield from must(f"{at}.ip", address, ip_errors(address))
        for index, name in enumerate(alias.get("hostnames") or ()):
            yield from must(f"{at}.hostnames[{index}]", name, subdomain_errors(name))


def validate_pod_template_object(holder: Object) -> list[FieldError]:
    return list(pod_template("template", holder.get("template") or {}))
