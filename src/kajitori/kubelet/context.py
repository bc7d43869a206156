"""What every pod worker of a node shares."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kajitori.api.meta import Object
from kajitori.client.events import EventRecorder
from kajitori.client.interface import Client
from kajitori.kit.clock import Clock
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.images import Images
from kajitori.kubelet.objects import WatchedObjects
from kajitori.kubelet.pod_status import NodeAddress
from kajitori.kubelet.runtime import DnsConfig, Runtime
from kajitori.kubelet.volumes.content import Contents
from kajitori.kubelet.volumes.image import ImageMounter


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    config: KubeletConfig
    client: Client
    runtime: Runtime
    clock: Clock
    images: Images
    objects: WatchedObjects
    contents: Contents
    image_mounter: ImageMounter
    events: EventRecorder
    services: Callable[[], Iterable[Object]]
    address: NodeAddress
    allocatable: dict[str, str]
    memory_capacity_bytes: int
    host_dns: Callable[[], DnsConfig]
