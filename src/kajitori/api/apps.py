"""The kinds of apps."""

from kajitori.api.columns import workloads as workloads_columns
from kajitori.api.defaults import workloads
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, ScalePaths, Subresource
from kajitori.api.validation import immutability, statuses
from kajitori.api.validation import workloads as workloads_validation
from kajitori.api.warnings import workloads as workloads_warnings

CONTROLLER_REVISION = Resource(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    definition="io.k8s.api.apps.v1.ControllerRevision",
    columns=workloads_columns.CONTROLLER_REVISION,
    validate=workloads_validation.validate_controller_revision,
    revalidate=workloads_validation.revalidate_controller_revision,
)

DAEMON_SET = Resource(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    short_names=("ds",),
    categories=("all",),
    subresources=(
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_daemon_set_status
        ),
    ),
    definition="io.k8s.api.apps.v1.DaemonSet",
    columns=workloads_columns.DAEMON_SET,
    default=workloads.default_daemon_set,
    validate=workloads_validation.validate_daemon_set,
    validate_update=immutability.validate_same_selector,
    prepare_create=workloads.prepare_daemon_set,
    prepare_update=workloads.prepare_daemon_set_update,
    counts_generation=True,
    warnings=workloads_warnings.workload_warnings,
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
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_deployment_status
        ),
    ),
    definition="io.k8s.api.apps.v1.Deployment",
    columns=workloads_columns.DEPLOYMENT,
    scale=ScalePaths(),
    default=workloads.default_deployment,
    validate=workloads_validation.validate_deployment,
    validate_update=immutability.validate_same_selector,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
    counts_generation=True,
    counts_annotations=True,
    warnings=workloads_warnings.named_workload_warnings,
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
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_replica_set_status
        ),
    ),
    definition="io.k8s.api.apps.v1.ReplicaSet",
    columns=workloads_columns.REPLICA_SET,
    scale=ScalePaths(),
    default=workloads.default_replica_set,
    validate=workloads_validation.validate_replica_set,
    validate_update=immutability.validate_same_selector,
    prepare_create=begin_with({"replicas": 0}),
    prepare_update=keep_status,
    counts_generation=True,
    warnings=workloads_warnings.named_workload_warnings,
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
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_stateful_set_status
        ),
    ),
    definition="io.k8s.api.apps.v1.StatefulSet",
    columns=workloads_columns.STATEFUL_SET,
    scale=ScalePaths(),
    default=workloads.default_stateful_set,
    validate=workloads_validation.validate_stateful_set,
    revalidate=workloads_validation.revalidate_stateful_set,
    validate_update=workloads_validation.validate_stateful_set_update,
    prepare_create=workloads.prepare_stateful_set,
    prepare_update=workloads.prepare_stateful_set_update,
    counts_generation=True,
    warnings=workloads_warnings.stateful_set_warnings,
)

RESOURCES = (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
)
