"""The runtime over CRI (gRPC on containerd's socket), and containerd's own event stream.

Each method of the service is a path and a response type in one table; nothing here decides anything.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

# Children are only ever spawned (fork and exec at once); gRPC's handlers for plain forks would warn at each of them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

import grpc
import grpc.aio

from kajitori.kubelet.cri import events_pb2
from kajitori.kubelet.cri import runtime_pb2 as pb
from kajitori.kubelet.cri_messages import (
    container_config,
    container_record,
    container_usage,
    image_record,
    resources,
    sandbox_config,
    sandbox_record,
)
from kajitori.kubelet.labels import POD_UID
from kajitori.kubelet.runtime import (
    ContainerConfig,
    ContainerRecord,
    ContainerUsage,
    ExecResult,
    ImageRecord,
    Resources,
    RuntimeDeadline,
    RuntimeEvent,
    RuntimeEventKind,
    RuntimeFailure,
    RuntimeHealth,
    RuntimeNotFound,
    RuntimeUnavailable,
    RuntimeVersion,
    SandboxConfig,
    SandboxRecord,
)

CALL_TIMEOUT_S = 120.0
PULL_TIMEOUT_S = 600.0
STOP_MARGIN_S = 30.0
"""How much longer than the grace period a stop may take."""
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

_METHODS = {
    "RuntimeService": (
        "Version Status RunPodSandbox StopPodSandbox RemovePodSandbox PodSandboxStatus ListPodSandbox CreateContainer",
        "StartContainer StopContainer RemoveContainer ListContainers ContainerStatus UpdateContainerResources",
        "ReopenContainerLog ExecSync Exec Attach PortForward ListContainerStats",
    ),
    "ImageService": ("ListImages ImageStatus PullImage RemoveImage ImageFsInfo",),
}

_TOPICS: dict[str, tuple[RuntimeEventKind, Any]] = {
    "/tasks/start": (RuntimeEventKind.STARTED, events_pb2.TaskStart),
    "/tasks/exit": (RuntimeEventKind.EXITED, events_pb2.TaskExit),
    "/tasks/oom": (RuntimeEventKind.OUT_OF_MEMORY, events_pb2.TaskOOM),
}
_FILTERS = [f'topic=="{topic}"' for topic in _TOPICS]

_FAILURES: Mapping[Any, type[RuntimeFailure]] = {
    grpc.StatusCode.UNAVAILABLE: RuntimeUnavailable,
    grpc.StatusCode.NOT_FOUND: RuntimeNotFound,
    grpc.StatusCode.DEADLINE_EXCEEDED: RuntimeDeadline,
}


def _failure(error: Any) -> RuntimeFailure:
    return _FAILURES.get(error.code(), RuntimeFailure)(
        f"rpc error: code = {_code_name(error)} desc = {error.details()}"
    )


def _code_name(error: Any) -> str:
    return "".join(word.capitalize() for word in str(error.code().name).split("_"))


class CriRuntime:
    """`close` it; one channel serves every call."""

    def __init__(self, socket_path: str) -> None:
        self._channel = grpc.aio.insecure_channel(
            f"unix://{socket_path}",
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._methods: dict[str, Callable[..., Awaitable[Any]]] = {}
        for service, names in _METHODS.items():
            for name in " ".join(names).split():
                self._methods[name] = self._channel.unary_unary(
                    f"/runtime.v1.{service}/{name}",
                    request_serializer=getattr(pb, f"{name}Request").SerializeToString,
                    response_deserializer=getattr(pb, f"{name}Response").FromString,
                )
        self._subscribe = self._channel.unary_stream(
            "/containerd.services.events.v1.Events/Subscribe",
            request_serializer=events_pb2.SubscribeRequest.SerializeToString,
            response_deserializer=events_pb2.Envelope.FromString,
        )

    async def close(self) -> None:
        await self._channel.close()

    async def _call(self, name: str, request: Any, timeout_s: float = CALL_TIMEOUT_S) -> Any:
        try:
            return await self._methods[name](request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None

    async def version(self) -> RuntimeVersion:
        answer = await self._call("Version", pb.VersionRequest())
        return RuntimeVersion(answer.runtime_name, answer.runtime_version)

    async def health(self) -> RuntimeHealth:
        answer = await self._call("Status", pb.StatusRequest())
        problems = {c.type: c.message or c.reason for c in answer.status.conditions if not c.status}
        return RuntimeHealth(problems.get("RuntimeReady", ""), problems.get("NetworkReady", ""))

    async def run_sandbox(self, config: SandboxConfig) -> str:
        request = pb.RunPodSandboxRequest(config=sandbox_config(config), runtime_handler=config.runtime_handler)
        return str((await self._call("RunPodSandbox", request)).pod_sandbox_id)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self._call("StopPodSandbox", pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._call("RemovePodSandbox", pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id))

    async def sandboxes(self, pod_uid: str = "") -> Sequence[SandboxRecord]:
        selector = {POD_UID: pod_uid} if pod_uid else {}
        request = pb.ListPodSandboxRequest(filter=pb.PodSandboxFilter(label_selector=selector))
        records = []
        for item in (await self._call("ListPodSandbox", request)).items:
            network = await self._sandbox_network(item.id) if pod_uid else None
            records.append(sandbox_record(item, network))
        return sorted(records, key=lambda record: record.created_s, reverse=True)

    async def _sandbox_network(self, sandbox_id: str) -> pb.PodSandboxNetworkStatus | None:
        try:
            answer = await self._call("PodSandboxStatus", pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id))
        except RuntimeNotFound:
            return None
        return answer.status.network  # type: ignore[no-any-return]

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        request = pb.CreateContainerRequest(
            pod_sandbox_id=sandbox_id, config=container_config(config), sandbox_config=sandbox_config(sandbox)
        )
        return str((await self._call("CreateContainer", request)).container_id)

    async def start_container(self, container_id: str) -> None:
        await self._call("StartContainer", pb.StartContainerRequest(container_id=container_id))

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        request = pb.StopContainerRequest(container_id=container_id, timeout=round(grace_s))
        await self._call("StopContainer", request, timeout_s=grace_s + STOP_MARGIN_S)

    async def remove_container(self, container_id: str) -> None:
        await self._call("RemoveContainer", pb.RemoveContainerRequest(container_id=container_id))

    async def containers(self, pod_uid: str) -> Sequence[ContainerRecord]:
        request = pb.ListContainersRequest(filter=pb.ContainerFilter(label_selector={POD_UID: pod_uid}))
        records = []
        for item in (await self._call("ListContainers", request)).containers:
            try:
                answer = await self._call("ContainerStatus", pb.ContainerStatusRequest(container_id=item.id))
            except RuntimeNotFound:
                continue
            records.append(container_record(answer.status, item.pod_sandbox_id))
        return sorted(records, key=lambda record: record.created_s, reverse=True)

    async def exec_sync(self, container_id: str, command: Sequence[str], timeout_s: float) -> ExecResult:
        request = pb.ExecSyncRequest(container_id=container_id, cmd=list(command), timeout=max(0, round(timeout_s)))
        limit_s = timeout_s + STOP_MARGIN_S if timeout_s > 0 else PULL_TIMEOUT_S
        answer = await self._call("ExecSync", request, timeout_s=limit_s)
        return ExecResult(answer.stdout, answer.stderr, answer.exit_code)

    async def exec_url(
        self, container_id: str, command: Sequence[str], *, tty: bool, stdin: bool, stdout: bool, stderr: bool
    ) -> str:
        request = pb.ExecRequest(
            container_id=container_id, cmd=list(command), tty=tty, stdin=stdin, stdout=stdout, stderr=stderr
        )
        return str((await self._call("Exec", request)).url)

    async def attach_url(self, container_id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> str:
        request = pb.AttachRequest(container_id=container_id, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr)
        return str((await self._call("Attach", request)).url)

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        request = pb.PortForwardRequest(pod_sandbox_id=sandbox_id, port=list(ports))
        return str((await self._call("PortForward", request)).url)

    async def reopen_log(self, container_id: str) -> None:
        await self._call("ReopenContainerLog", pb.ReopenContainerLogRequest(container_id=container_id))

    async def update_resources(self, container_id: str, wanted: Resources) -> None:
        request = pb.UpdateContainerResourcesRequest(container_id=container_id, linux=resources(wanted))
        await self._call("UpdateContainerResources", request)

    async def usage(self) -> Sequence[ContainerUsage]:
        answer = await self._call("ListContainerStats", pb.ListContainerStatsRequest())
        return [container_usage(item) for item in answer.stats]

    async def image(self, name: str) -> ImageRecord | None:
        answer = await self._call("ImageStatus", pb.ImageStatusRequest(image=pb.ImageSpec(image=name)))
        return image_record(answer.image) if answer.HasField("image") else None

    async def images(self) -> Sequence[ImageRecord]:
        return [image_record(item) for item in (await self._call("ListImages", pb.ListImagesRequest())).images]

    async def pull_image(self, name: str) -> str:
        request = pb.PullImageRequest(image=pb.ImageSpec(image=name))
        return str((await self._call("PullImage", request, timeout_s=PULL_TIMEOUT_S)).image_ref)

    async def remove_image(self, name: str) -> None:
        await self._call("RemoveImage", pb.RemoveImageRequest(image=pb.ImageSpec(image=name)))

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        try:
            async for envelope in self._subscribe(events_pb2.SubscribeRequest(filters=_FILTERS), wait_for_ready=False):
                kind, message = _TOPICS.get(envelope.topic, (None, None))
                if kind is None or message is None:
                    continue
                body = message.FromString(envelope.event.value)
                if getattr(body, "id", "") in ("", body.container_id):
                    yield RuntimeEvent(kind, body.container_id)
        except grpc.aio.AioRpcError as error:
            raise RuntimeUnavailable(error.details() or "the event stream broke") from None
