"""A pod's sandbox as the runtime is told to make it."""

import json

from kajitori.api.meta import Object, annotations_of, labels_of, name_of, namespace_of, uid_of
from kajitori.kubelet import labels
from kajitori.kubelet.cgroups import pod_cgroup
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.container_spec import pod_labels
from kajitori.kubelet.dns import pod_dns
from kajitori.kubelet.hosts_file import kernel_hostname
from kajitori.kubelet.runtime import DnsConfig, PortMapping, SandboxConfig
from kajitori.kubelet.security import pod_namespaces, seccomp_profile


def _port_mappings(pod: Object) -> tuple[PortMapping, ...]:
    if pod["spec"].get("hostNetwork"):
        return ()
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    return tuple(
        PortMapping(port.get("protocol") or "TCP", port["containerPort"], port["hostPort"], port.get("hostIP") or "")
        for container in containers
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _manifest(pod: Object) -> str:
    """Enough of the pod to end it properly should the API have forgotten it."""
    spec = pod["spec"]
    kept = ("name", "image", "lifecycle", "restartPolicy", "terminationMessagePath", "terminationMessagePolicy")
    containers = {
        key: [{k: c[k] for k in kept if k in c} for c in spec.get(key) or ()]
        for key in ("containers", "initContainers")
        if spec.get(key)
    }
    rest = {k: spec[k] for k in ("terminationGracePeriodSeconds", "restartPolicy", "hostNetwork") if k in spec}
    metadata = {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": rest | containers})


def sandbox_config(
    pod: Object, attempt: int, config: KubeletConfig, host_dns: DnsConfig, runtime_handler: str = ""
) -> SandboxConfig:
    context = pod["spec"].get("securityContext") or {}
    groups = [*(context.get("supplementalGroups") or ())]
    if context.get("fsGroup") is not None:
        groups.append(context["fsGroup"])
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    return SandboxConfig(
        name=name_of(pod),
        uid=uid_of(pod),
        namespace=namespace_of(pod),
        attempt=attempt,
        hostname="" if pod["spec"].get("hostNetwork") else kernel_hostname(pod, config.cluster_domain),
        log_directory=str(config.log_directory(namespace_of(pod), name_of(pod), uid_of(pod))),
        dns=pod_dns(pod, host_dns, config.cluster_dns, config.cluster_domain),
        port_mappings=_port_mappings(pod),
        labels={**labels_of(pod), **pod_labels(pod)},
        annotations={**annotations_of(pod), labels.POD_MANIFEST: _manifest(pod)},
        cgroup_parent=pod_cgroup(config.cgroup, pod),
        namespaces=pod_namespaces(pod),
        run_as_user=context.get("runAsUser"),
        run_as_group=context.get("runAsGroup") if context.get("runAsUser") is not None else None,
        supplemental_groups=tuple(groups),
        privileged=any((c.get("securityContext") or {}).get("privileged") for c in containers),
        seccomp=seccomp_profile(context),
        runtime_handler=runtime_handler,
        sysctls={entry["name"]: entry["value"] for entry in context.get("sysctls") or ()},
    )
