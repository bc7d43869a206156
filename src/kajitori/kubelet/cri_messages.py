"""From the node agent's own words to CRI messages, and back."""

from kajitori.kubelet import labels
from kajitori.kubelet.cri import runtime_pb2 as pb
from kajitori.kubelet.runtime import (
    ContainerConfig,
    ContainerRecord,
    ContainerState,
    ContainerUsage,
    ImageRecord,
    Namespaces,
    Resources,
    SandboxConfig,
    SandboxRecord,
    SeccompProfile,
    Security,
)

NANOSECONDS = 1e9
_PROPAGATION = {
    "None": pb.PROPAGATION_PRIVATE,
    "HostToContainer": pb.PROPAGATION_HOST_TO_CONTAINER,
    "Bidirectional": pb.PROPAGATION_BIDIRECTIONAL,
}


def _namespaces(value: Namespaces) -> pb.NamespaceOption:
    return pb.NamespaceOption(
        network=pb.NamespaceMode.Name(value.network.value),
        pid=pb.NamespaceMode.Name(value.pid.value),
        ipc=pb.NamespaceMode.Name(value.ipc.value),
        target_id=value.target_id,
    )


def _seccomp(profile: SeccompProfile) -> pb.SecurityProfile:
    return pb.SecurityProfile(
        profile_type=pb.SecurityProfile.ProfileType.Value(str(profile.kind)), localhost_ref=profile.path
    )


def _int64(value: int | None) -> pb.Int64Value | None:
    return None if value is None else pb.Int64Value(value=value)


def resources(value: Resources) -> pb.LinuxContainerResources:
    return pb.LinuxContainerResources(
        cpu_shares=value.cpu_shares,
        cpu_quota=value.cpu_quota,
        cpu_period=value.cpu_period,
        memory_limit_in_bytes=value.memory_limit_bytes,
        oom_score_adj=value.oom_score_adj,
        unified=dict(value.unified),
    )


def sandbox_config(config: SandboxConfig) -> pb.PodSandboxConfig:
    dns = config.dns
    return pb.PodSandboxConfig(
        metadata=pb.PodSandboxMetadata(
            name=config.name, uid=config.uid, namespace=config.namespace, attempt=config.attempt
        ),
        hostname=config.hostname,
        log_directory=config.log_directory,
        dns_config=pb.DNSConfig(servers=dns.servers, searches=dns.searches, options=dns.options) if dns else None,
        port_mappings=[
            pb.PortMapping(
                protocol=pb.Protocol.Value(p.protocol),
                container_port=p.container_port,
                host_port=p.host_port,
                host_ip=p.host_ip,
            )
            for p in config.port_mappings
        ],
        labels=dict(config.labels),
        annotations=dict(config.annotations),
        linux=pb.LinuxPodSandboxConfig(
            cgroup_parent=config.cgroup_parent,
            sysctls=dict(config.sysctls),
            security_context=pb.LinuxSandboxSecurityContext(
                namespace_options=_namespaces(config.namespaces),
                run_as_user=_int64(config.run_as_user),
                run_as_group=_int64(config.run_as_group),
                supplemental_groups=config.supplemental_groups,
                privileged=config.privileged,
                seccomp=_seccomp(config.seccomp),
            ),
        ),
    )


def _security(security: Security, namespaces: Namespaces) -> pb.LinuxContainerSecurityContext:
    return pb.LinuxContainerSecurityContext(
        capabilities=pb.Capability(
            add_capabilities=security.add_capabilities, drop_capabilities=security.drop_capabilities
        ),
        privileged=security.privileged,
        namespace_options=_namespaces(namespaces),
        run_as_user=_int64(security.run_as_user),
        run_as_group=_int64(security.run_as_group),
        run_as_username=security.run_as_username,
        readonly_rootfs=security.read_only_root,
        supplemental_groups=security.supplemental_groups,
        no_new_privs=security.no_new_privileges,
        masked_paths=security.masked_paths,
        readonly_paths=security.read_only_paths,
        seccomp=_seccomp(security.seccomp),
    )


def container_config(config: ContainerConfig) -> pb.ContainerConfig:
    return pb.ContainerConfig(
        metadata=pb.ContainerMetadata(name=config.name, attempt=config.attempt),
        image=pb.ImageSpec(image=config.image),
        command=config.command,
        args=config.args,
        working_dir=config.working_dir,
        envs=[pb.KeyValue(key=key, value=value) for key, value in config.env],
        mounts=[
            pb.Mount(
                container_path=m.container_path,
                host_path=m.host_path,
                readonly=m.read_only,
                propagation=_PROPAGATION[m.propagation],
            )
            for m in config.mounts
        ],
        devices=[
            pb.Device(container_path=d.container_path, host_path=d.host_path, permissions=d.permissions)
            for d in config.devices
        ],
        labels=dict(config.labels),
        annotations=dict(config.annotations),
        log_path=config.log_path,
        stdin=config.stdin,
        stdin_once=config.stdin_once,
        tty=config.tty,
        linux=pb.LinuxContainerConfig(
            resources=resources(config.resources), security_context=_security(config.security, config.namespaces)
        ),
    )


def sandbox_record(item: pb.PodSandbox, network: pb.PodSandboxNetworkStatus | None) -> SandboxRecord:
    ips = () if network is None else (network.ip, *(extra.ip for extra in network.additional_ips))
    return SandboxRecord(
        id=item.id,
        name=item.metadata.name,
        namespace=item.metadata.namespace,
        uid=item.metadata.uid,
        attempt=item.metadata.attempt,
        ready=item.state == pb.SANDBOX_READY,
        created_s=item.created_at / NANOSECONDS,
        ips=tuple(ip for ip in ips if ip),
        labels=dict(item.labels),
        annotations=dict(item.annotations),
    )


def container_record(status: pb.ContainerStatus, sandbox_id: str) -> ContainerRecord:
    return ContainerRecord(
        id=status.id,
        sandbox_id=sandbox_id,
        name=status.labels.get(labels.CONTAINER_NAME) or status.metadata.name,
        attempt=status.metadata.attempt,
        state=ContainerState(status.state),
        created_s=status.created_at / NANOSECONDS,
        started_s=max(0.0, status.started_at / NANOSECONDS),
        finished_s=max(0.0, status.finished_at / NANOSECONDS),
        exit_code=status.exit_code,
        image=status.image.image,
        image_ref=status.image_ref,
        reason=status.reason,
        message=status.message,
        log_path=status.log_path,
        labels=dict(status.labels),
        annotations=dict(status.annotations),
    )


def image_record(image: pb.Image) -> ImageRecord:
    return ImageRecord(
        id=image.id,
        tags=tuple(image.repo_tags),
        digests=tuple(image.repo_digests),
        size_bytes=image.size,
        uid=image.uid.value if image.HasField("uid") else None,
        username=image.username,
    )


def container_usage(stats: pb.ContainerStats) -> ContainerUsage:
    return ContainerUsage(
        container_id=stats.attributes.id,
        timestamp_s=stats.cpu.timestamp / NANOSECONDS,
        cpu_total_ns=stats.cpu.usage_core_nano_seconds.value,
        memory_working_set_bytes=stats.memory.working_set_bytes.value,
        memory_usage_bytes=stats.memory.usage_bytes.value,
        memory_rss_bytes=stats.memory.rss_bytes.value,
        memory_page_faults=stats.memory.page_faults.value,
        memory_major_page_faults=stats.memory.major_page_faults.value,
        disk_used_bytes=stats.writable_layer.used_bytes.value,
        disk_inodes_used=stats.writable_layer.inodes_used.value,
    )
