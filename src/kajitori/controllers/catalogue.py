"""Every control loop of a whole cluster, in the order of their names."""

from kajitori.controllers.deployment.controller import DeploymentController
from kajitori.controllers.replicaset import ReplicaSetController, ReplicationControllerController
from kajitori.controllers.run import Factory

CONTROLLERS: tuple[Factory, ...] = (
    DeploymentController,
    ReplicaSetController,
    ReplicationControllerController,
)
