"""Every control loop of a whole cluster, in the order of their names."""

from kajitori.controllers.autoscaling.controller import HorizontalPodAutoscalerController
from kajitori.controllers.cronjob.controller import CronJobController
from kajitori.controllers.daemonset.controller import DaemonSetController
from kajitori.controllers.deployment.controller import DeploymentController
from kajitori.controllers.discovery import DiscoveryController
from kajitori.controllers.disruption import DisruptionController
from kajitori.controllers.endpoints.endpointslice import EndpointSliceController
from kajitori.controllers.endpoints.legacy import EndpointsController
from kajitori.controllers.endpoints.mirroring import EndpointSliceMirroringController
from kajitori.controllers.garbage.collector import GarbageCollector
from kajitori.controllers.job.controller import JobController, TtlAfterFinishedController
from kajitori.controllers.namespace import NamespaceController
from kajitori.controllers.namespace_content import RootCAPublisher, ServiceAccountController
from kajitori.controllers.nodes.eviction import TaintEvictionController
from kajitori.controllers.nodes.ipam import NodeIpamController
from kajitori.controllers.nodes.lifecycle import NodeLifecycleController
from kajitori.controllers.nodes.pod_gc import PodGarbageCollector
from kajitori.controllers.nodes.roles import NodeRoleController
from kajitori.controllers.replicaset import ReplicaSetController, ReplicationControllerController
from kajitori.controllers.run import Factory
from kajitori.controllers.statefulset.controller import StatefulSetController
from kajitori.controllers.volumes.claims import ClaimBinder
from kajitori.controllers.volumes.ephemeral import EphemeralVolumeController
from kajitori.controllers.volumes.local_path import LocalPathProvisioner
from kajitori.controllers.volumes.protection import AttributesProtection, ClaimProtection, VolumeProtection
from kajitori.controllers.volumes.volumes import VolumeController

CONTROLLERS: tuple[Factory, ...] = (
    AttributesProtection,
    ClaimBinder,
    ClaimProtection,
    CronJobController,
    DaemonSetController,
    DeploymentController,
    DiscoveryController,
    DisruptionController,
    EndpointsController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    EphemeralVolumeController,
    GarbageCollector,
    HorizontalPodAutoscalerController,
    JobController,
    LocalPathProvisioner,
    NamespaceController,
    NodeIpamController,
    NodeLifecycleController,
    NodeRoleController,
    PodGarbageCollector,
    ReplicaSetController,
    ReplicationControllerController,
    RootCAPublisher,
    ServiceAccountController,
    StatefulSetController,
    TaintEvictionController,
    TtlAfterFinishedController,
    VolumeController,
    VolumeProtection,
)
