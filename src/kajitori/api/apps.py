"""The kinds of apps."""

from kajitori.api.resource import Resource, Subresource

CONTROLLER_REVISION = Resource(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    definition="io.k8s.api.apps.v1.ControllerRevision",
)

DAEMON_SET = Resource(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.apps.v1.DaemonSet",
)

DEPLOYMENT = Resource(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    short_names=("deploy",),
    categories=("all",),
    subresources=(
        Subresource(name="scale", verbs=("get", "patch", "update"), kind="Scale", group="autoscaling", version="v1"),
        Subresource(name="status", verbs=("get", "patch", "update")),
    ),
    definition="io.k8s.api.apps.v1.Deployment",
)

REPLICA_SET = Resource(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    short_names=("rs",),
    categories=("all",),
    subresources=(
        Subresource(name="scale", verbs=("get", "patch", "update"), kind="Scale", group="autoscaling", version="v1"),
        Subresource(name="status", verbs=("get", "patch", "update")),
    ),
    definition="io.k8s.api.apps.v1.ReplicaSet",
)

STATEFUL_SET = Resource(
    group="apps",
    version="v1",
    kind="StatefulSet",
    plural="statefulsets",
    short_names=("sts",),
    categories=("all",),
    subresources=(
        Subresource(name="scale", verbs=("get", "patch", "update"), kind="Scale", group="autoscaling", version="v1"),
        Subresource(name="status", verbs=("get", "patch", "update")),
    ),
    definition="io.k8s.api.apps.v1.StatefulSet",
)

RESOURCES = (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
)
