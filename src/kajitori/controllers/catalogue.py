"""Every control loop of a whole cluster, in the order of their names."""

from kajitori.controllers.daemonset.controller import DaemonSetController
from kajitori.controllers.deployment.controller import DeploymentController
from kajitori.controllers.discovery import DiscoveryController
from kajitori.controllers.endpoints.endpointslice import EndpointSliceController
from kajitori.controllers.endpoints.legacy import EndpointsController
from kajitori.controllers.endpoints.mirroring import EndpointSliceMirroringController
from kajitori.controllers.garbage.collector import GarbageCollector
from kajitori.controllers.namespace import NamespaceController
from kajitori.controllers.namespace_content import RootCAPublisher, ServiceAccountController
from kajitori.controllers.replicaset import ReplicaSetController, ReplicationControllerController
from kajitori.controllers.run import Factory
from kajitori.controllers.statefulset.controller import StatefulSetController

CONTROLLERS: tuple[Factory, ...] = (
    DaemonSetController,
    DeploymentController,
    DiscoveryController,
    EndpointsController,
    EndpointSliceController,
    EndpointSliceMirroringController,
    GarbageCollector,
    NamespaceController,
    ReplicaSetController,
    ReplicationControllerController,
    RootCAPublisher,
    ServiceAccountController,
    StatefulSetController,
)
