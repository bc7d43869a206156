"""Making one container run: image, environment, mounts, security, then create, start and the postStart hook."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from kajitori.api.core import CONFIG_MAP, SECRET
from kajitori.api.errors import StatusError
from kajitori.api.meta import Object, namespace_of, uid_of
from kajitori.client.interface import Disconnected
from kajitori.kubelet.actions import StartContainer
from kajitori.kubelet.cgroups import container_resources
from kajitori.kubelet.container_spec import Resolved, container_config
from kajitori.kubelet.context import NodeContext
from kajitori.kubelet.env_files import FILE_BYTES_MAX
from kajitori.kubelet.environment import ConfigProblem, container_environment, service_variables
from kajitori.kubelet.field_paths import pod_field, resource_field
from kajitori.kubelet.hosts_file import hosts_text, pod_hostname
from kajitori.kubelet.images import ImageProblem
from kajitori.kubelet.pod_state import ContainerKind, PodState, container_named
from kajitori.kubelet.runtime import ImageRecord, Mount, RuntimeFailure, SandboxRecord
from kajitori.kubelet.sandbox_spec import sandbox_config
from kajitori.kubelet.security import container_security, pod_namespaces
from kajitori.kubelet.volumes.pod_volumes import PodVolumes
from kajitori.kubelet.volumes.sub_path import WrongSubPath, resolve_sub_path, sub_path_of

CONFIG_RETRY_S = 5.0
CREATE_RETRY_S = 10.0

Tell = Callable[[str, str, str], None]


class StartProblem(Exception):
    """Why a container does not run; `reason` and the message become what it waits with."""

    def __init__(self, reason: str, message: str, retry_s: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_s = retry_s


READ_ONLY_SOURCES = frozenset(("image", "configMap", "secret", "downwardAPI", "projected"))


class ContainerStarter:
    def __init__(self, context: NodeContext, state: PodState, volumes: PodVolumes) -> None:
        self._context = context
        self._state = state
        self._volumes = volumes

    async def start(self, action: StartContainer, tell: Tell) -> str:
        """The new container's id; raises StartProblem."""
        pod, sandbox = self._state.pod, self._state.sandbox
        container = container_named(pod["spec"], action.name)
        if sandbox is None or container is None:
            raise StartProblem("ContainerCreating", "the pod's sandbox is not ready", 0.0)
        try:
            name, image = await self._context.images.ensure(
                uid_of(pod), container["image"], container.get("imagePullPolicy") or "", tell
            )
        except ImageProblem as problem:
            raise StartProblem(problem.reason, str(problem), problem.retry_s) from None
        except RuntimeFailure as error:
            raise StartProblem("ImageInspectError", str(error), CONFIG_RETRY_S) from None
        try:
            resolved = await self._resolve(pod, container, action, name, image)
        except (ConfigProblem, WrongSubPath, StatusError, Disconnected, OSError, KeyError) as error:
            text = str(error)
            tell("Warning", "Failed", f"Error: {text}")
            raise StartProblem("CreateContainerConfigError", text, CONFIG_RETRY_S) from None
        return await self._create_and_start(pod, container, resolved, sandbox, tell)

    async def _create_and_start(
        self, pod: Object, container: Object, resolved: Resolved, sandbox: SandboxRecord, tell: Tell
    ) -> str:
        context = self._context
        box = sandbox_config(pod, sandbox.attempt, context.config, context.host_dns())
        (Path(box.log_directory) / container["name"]).mkdir(parents=True, exist_ok=True)
        try:
            container_id = await context.runtime.create_container(
                sandbox.id, container_config(pod, container, resolved), box
            )
        except RuntimeFailure as error:
            tell("Warning", "Failed", f"Error: {error}")
            raise StartProblem("CreateContainerError", str(error), CREATE_RETRY_S) from None
        tell("Normal", "Created", "Container created")
        try:
            await context.runtime.start_container(container_id)
        except RuntimeFailure as error:
            tell("Warning", "Failed", f"Error: {error}")
            raise StartProblem("RunContainerError", str(error), 0.0) from None
        tell("Normal", "Started", "Container started")
        return container_id

    async def _resolve(
        self, pod: Object, container: Object, action: StartContainer, name: str, image: ImageRecord
    ) -> Resolved:
        environment = await self._environment(pod, container)
        message_file = self._message_file(pod, container)
        target = container.get("targetContainerName") if action.kind is ContainerKind.EPHEMERAL else None
        record = self._state.latest(target) if target else None
        return Resolved(
            image=image.id or name,
            attempt=action.attempt,
            kind=action.kind,
            environment=environment,
            mounts=tuple(self._mounts(pod, container, environment, message_file)),
            resources=container_resources(pod, container, self._context.memory_capacity_bytes),
            security=container_security(pod, container, image, self._volumes.groups),
            namespaces=pod_namespaces(pod, record.id if record else ""),
            termination_host_path=message_file,
        )

    async def _environment(self, pod: Object, container: Object) -> dict[str, str]:
        """ConfigMaps and Secrets are fetched first, so that the rules themselves need not wait for anything."""
        namespace = namespace_of(pod)
        found: dict[tuple[str, str], Object | None] = {}
        for kind, name in _references(container):
            resource = CONFIG_MAP if kind == "ConfigMap" else SECRET
            found[kind, name] = await self._context.objects.get(uid_of(pod), resource, namespace, name)
        links = pod["spec"].get("enableServiceLinks", True)
        return container_environment(
            container,
            services=service_variables(self._context.services(), namespace, links=links),
            lookup=lambda kind, name: found.get((kind, name)),
            field=self.field,
            resource=lambda reference: self.resource(reference, container),
            file=self._env_file,
            namespace=namespace,
        )

    def _env_file(self, reference: Object) -> str:
        """Raises OSError, ValueError, ConfigProblem."""
        volume = self._volumes.paths.get(reference["volumeName"])
        if volume is None:
            name = reference["volumeName"]
            raise ConfigProblem(f'cannot find the volume "{name}" referenced by FileKeyRef')
        try:
            path = resolve_sub_path(volume, reference["path"], make=False)
        except WrongSubPath as error:
            raise ValueError(str(error)) from error
        with path.open(encoding="utf-8") as text:
            return text.read(FILE_BYTES_MAX)

    def field(self, path: str) -> str:
        state, address = self._state, self._context.address
        return pod_field(state.pod, path, host_ips=address.ips, pod_ips=self.pod_ips)

    @property
    def pod_ips(self) -> tuple[str, ...]:
        if self._state.spec.get("hostNetwork"):
            return self._context.address.ips
        return self._state.sandboxes[0].ips if self._state.sandboxes else ()

    def resource(self, reference: Object, own: Object | None = None) -> str:
        name = reference.get("containerName")
        container = container_named(self._state.spec, name) if name else own
        if container is None:
            raise ConfigProblem(f'container "{name}" not found')
        divisor = str(reference.get("divisor") or "1")
        return resource_field(container, reference["resource"], divisor, self._context.allocatable)

    def _message_file(self, pod: Object, container: Object) -> str:
        """A new empty file that the container may write, whoever it runs as."""
        if not container.get("terminationMessagePath"):
            return ""
        directory = self._context.config.pod_dir(uid_of(pod)) / "containers" / container["name"]
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / secrets.token_hex(4)
        path.touch()
        path.chmod(0o666)
        return str(path)

    def _mounts(self, pod: Object, container: Object, environment: dict[str, str], message_file: str) -> list[Mount]:
        mounts = [self._volume_mount(mount, environment) for mount in container.get("volumeMounts") or ()]
        targets = {mount.container_path.rstrip("/") for mount in mounts}
        if "/etc/hosts" not in targets and (self.pod_ips or pod["spec"].get("hostNetwork")):
            mounts.append(Mount("/etc/hosts", str(self._hosts_file(pod))))
        if message_file:
            mounts.append(Mount(container["terminationMessagePath"], message_file))
        return mounts

    def _volume_mount(self, mount: Object, environment: dict[str, str]) -> Mount:
        path = self._volumes.paths.get(mount["name"])
        if path is None:
            raise ConfigProblem(f'cannot find volume "{mount["name"]}" to mount into the container')
        if relative := sub_path_of(mount, environment):
            path = resolve_sub_path(path, relative, make=mount["name"] not in self._image_volumes)
        target = mount["mountPath"]
        return Mount(
            target if target.startswith("/") else "/" + target,
            str(path),
            bool(mount.get("readOnly")) or mount["name"] in self._read_only_volumes,
            mount.get("mountPropagation") or "None",
        )

    @property
    def _image_volumes(self) -> set[str]:
        return {volume["name"] for volume in self._state.spec.get("volumes") or () if "image" in volume}

    @property
    def _read_only_volumes(self) -> set[str]:
        """Volumes that nobody can write to, whatever their mounts say."""
        volumes = self._state.spec.get("volumes") or ()
        return {volume["name"] for volume in volumes if not READ_ONLY_SOURCES.isdisjoint(volume)}

    def _hosts_file(self, pod: Object) -> Path:
        path = self._context.config.pod_dir(uid_of(pod)) / "etc-hosts"
        path.parent.mkdir(parents=True, exist_ok=True)
        hostname, domain = pod_hostname(pod, self._context.config.cluster_domain)
        hosts = Path("/etc/hosts")
        text = hosts_text(pod, self.pod_ips, hostname, domain, hosts.read_text() if hosts.exists() else "")
        with path.open("w") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        return path


def _references(container: Object) -> set[tuple[str, str]]:
    found = set()
    for source in container.get("envFrom") or ():
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if reference := source.get(key):
                found.add((kind, reference["name"]))
    for variable in container.get("env") or ():
        origin = variable.get("valueFrom") or {}
        for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            if reference := origin.get(key):
                found.add((kind, reference["name"]))
    return found
