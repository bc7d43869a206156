"""The kinds of the core group (v1)."""

from kajitori.api import selectable
from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.columns import networks as networks_columns
from kajitori.api.columns import pods as pods_columns
from kajitori.api.columns import volumes as volumes_columns
from kajitori.api.columns import workloads as workloads_columns
from kajitori.api.columns.cells import WITHOUT_OWN_COLUMNS
from kajitori.api.defaults import cluster, networks, pods, volumes, workloads
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, ScalePaths, Subresource
from kajitori.api.services import prepare_service, prepare_service_update
from kajitori.api.validation import configuration as configuration_validation
from kajitori.api.validation import events as events_validation
from kajitori.api.validation import pod_updates, statuses, volume_updates
from kajitori.api.validation import pods as pods_validation
from kajitori.api.validation import services as services_validation
from kajitori.api.validation import volumes as volumes_validation
from kajitori.api.validation import workloads as workloads_validation
from kajitori.api.warnings import extensions as extensions_warnings
from kajitori.api.warnings import networks as networks_warnings
from kajitori.api.warnings import pod_specs as pod_specs_warnings
from kajitori.api.warnings import volumes as volumes_warnings
from kajitori.api.warnings import workloads as workloads_warnings

BINDING = Resource(
    group="",
    version="v1",
    kind="Binding",
    plural="bindings",
    verbs=("create",),
    definition="io.k8s.api.core.v1.Binding",
)

COMPONENT_STATUS = Resource(
    group="",
    version="v1",
    kind="ComponentStatus",
    plural="componentstatuses",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    definition="io.k8s.api.core.v1.ComponentStatus",
    deprecation="v1 ComponentStatus is deprecated in v1.19+",
    columns=cluster_columns.COMPONENT_STATUS,
)

CONFIG_MAP = Resource(
    group="",
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    short_names=("cm",),
    definition="io.k8s.api.core.v1.ConfigMap",
    columns=cluster_columns.CONFIG_MAP,
    validate=configuration_validation.validate_config_map,
    validate_update=configuration_validation.validate_config_map_update,
)

ENDPOINTS = Resource(
    group="",
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    short_names=("ep",),
    definition="io.k8s.api.core.v1.Endpoints",
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    columns=networks_columns.ENDPOINTS,
    default=networks.default_endpoints,
    validate=services_validation.validate_endpoints,
    warnings=networks_warnings.endpoints_warnings,
)

EVENT = Resource(
    group="",
    version="v1",
    kind="Event",
    plural="events",
    short_names=("ev",),
    definition="io.k8s.api.core.v1.Event",
    columns=cluster_columns.EVENT,
    selectable_fields=selectable.EVENT,
    default=cluster.default_event,
    validate=events_validation.validate_event,
    prepare_create=events_validation.prepare_event,
)

LIMIT_RANGE = Resource(
    group="",
    version="v1",
    kind="LimitRange",
    plural="limitranges",
    short_names=("limits",),
    definition="io.k8s.api.core.v1.LimitRange",
    columns=WITHOUT_OWN_COLUMNS,
    default=cluster.default_limit_range,
    validate=configuration_validation.validate_limit_range,
    prepare_create=cluster.prepare_limit_range,
)

NAMESPACE = Resource(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    subresources=(
        Subresource(name="finalize", verbs=("update",)),
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_namespace_status
        ),
    ),
    definition="io.k8s.api.core.v1.Namespace",
    columns=cluster_columns.NAMESPACE,
    selectable_fields=selectable.NAMESPACE,
    default=cluster.default_namespace,
    validate=configuration_validation.validate_namespace,
    prepare_create=cluster.prepare_namespace,
    prepare_update=cluster.prepare_namespace_update,
)

NODE = Resource(
    group="",
    version="v1",
    kind="Node",
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    subresources=(
        Subresource(name="proxy", verbs=("create", "delete", "get", "patch", "update"), kind="NodeProxyOptions"),
        Subresource(name="status", verbs=("get", "patch", "update")),
    ),
    definition="io.k8s.api.core.v1.Node",
    columns=cluster_columns.NODE,
    selectable_fields=selectable.NODE,
    default=cluster.default_node,
    validate=configuration_validation.validate_node,
    validate_update=configuration_validation.validate_node_update,
    prepare_update=keep_status,
    warnings=networks_warnings.node_warnings,
)

PERSISTENT_VOLUME_CLAIM = Resource(
    group="",
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    short_names=("pvc",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.core.v1.PersistentVolumeClaim",
    columns=volumes_columns.CLAIM,
    default=volumes.default_claim,
    validate=volumes_validation.validate_claim,
    validate_update=volume_updates.validate_claim_update,
    prepare_create=volumes.prepare_claim,
    prepare_update=keep_status,
    warnings=volumes_warnings.claim_warnings,
)

PERSISTENT_VOLUME = Resource(
    group="",
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.core.v1.PersistentVolume",
    columns=volumes_columns.VOLUME,
    default=volumes.default_volume_of_cluster,
    validate=volumes_validation.validate_volume_of_cluster,
    validate_update=volume_updates.validate_volume_of_cluster_update,
    prepare_create=volumes.prepare_volume_of_cluster,
    prepare_update=keep_status,
    warnings=volumes_warnings.volume_warnings,
)

POD = Resource(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    short_names=("po",),
    categories=("all",),
    subresources=(
        Subresource(name="attach", verbs=("create", "get"), kind="PodAttachOptions"),
        Subresource(name="binding", verbs=("create",), kind="Binding"),
        Subresource(
            name="ephemeralcontainers",
            verbs=("get", "patch", "update"),
            validate_update=pod_updates.validate_ephemeral_update,
        ),
        Subresource(name="eviction", verbs=("create",), kind="Eviction", group="policy", version="v1"),
        Subresource(name="exec", verbs=("create", "get"), kind="PodExecOptions"),
        Subresource(name="log", verbs=("get",)),
        Subresource(name="portforward", verbs=("create", "get"), kind="PodPortForwardOptions"),
        Subresource(name="proxy", verbs=("create", "delete", "get", "patch", "update"), kind="PodProxyOptions"),
        Subresource(
            name="resize",
            verbs=("get", "patch", "update"),
            validate_update=pod_updates.validate_resize_update,
        ),
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_pod_status),
    ),
    definition="io.k8s.api.core.v1.Pod",
    columns=pods_columns.POD,
    selectable_fields=selectable.POD,
    default=pods.default_pod,
    validate=pods_validation.validate_new_pod,
    revalidate=pods_validation.revalidate_pod,
    validate_update=pod_updates.validate_pod_update,
    prepare_create=pods.prepare_pod,
    prepare_update=keep_status,
    counts_generation=True,
    warnings=pod_specs_warnings.pod_warnings,
)

POD_TEMPLATE = Resource(
    group="",
    version="v1",
    kind="PodTemplate",
    plural="podtemplates",
    definition="io.k8s.api.core.v1.PodTemplate",
    columns=workloads_columns.POD_TEMPLATE,
    default=workloads.default_pod_template_object,
    validate=pods_validation.validate_pod_template_object,
    counts_generation=True,
    warnings=workloads_warnings.pod_template_warnings,
)

REPLICATION_CONTROLLER = Resource(
    group="",
    version="v1",
    kind="ReplicationController",
    plural="replicationcontrollers",
    short_names=("rc",),
    categories=("all",),
    subresources=(
        Subresource(name="scale", verbs=("get", "patch", "update"), kind="Scale", group="autoscaling", version="v1"),
        Subresource(
            name="status",
            verbs=("get", "patch", "update"),
            validate_update=statuses.validate_replication_controller_status,
        ),
    ),
    definition="io.k8s.api.core.v1.ReplicationController",
    columns=workloads_columns.REPLICATION_CONTROLLER,
    scale=ScalePaths(),
    selectable_fields=selectable.REPLICAS,
    default=workloads.default_replication_controller,
    validate=workloads_validation.validate_replication_controller,
    prepare_create=begin_with({"replicas": 0}),
    prepare_update=keep_status,
    counts_generation=True,
    warnings=workloads_warnings.named_workload_warnings,
)

RESOURCE_QUOTA = Resource(
    group="",
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    short_names=("quota",),
    subresources=(
        Subresource(
            name="status",
            verbs=("get", "patch", "update"),
            validate_update=configuration_validation.validate_resource_quota_status,
        ),
    ),
    definition="io.k8s.api.core.v1.ResourceQuota",
    columns=cluster_columns.RESOURCE_QUOTA,
    validate=configuration_validation.validate_resource_quota,
    validate_update=configuration_validation.validate_resource_quota_update,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
)

SECRET = Resource(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    definition="io.k8s.api.core.v1.Secret",
    columns=cluster_columns.SECRET,
    selectable_fields=selectable.SECRET,
    default=cluster.default_secret,
    validate=configuration_validation.validate_secret,
    validate_update=configuration_validation.validate_secret_update,
    warnings=extensions_warnings.secret_warnings,
)

SERVICE_ACCOUNT = Resource(
    group="",
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    short_names=("sa",),
    subresources=(
        Subresource(name="token", verbs=("create",), kind="TokenRequest", group="authentication.k8s.io", version="v1"),
    ),
    definition="io.k8s.api.core.v1.ServiceAccount",
    columns=cluster_columns.NAME_AND_AGE,
    warnings=extensions_warnings.service_account_warnings,
)

SERVICE = Resource(
    group="",
    version="v1",
    kind="Service",
    plural="services",
    short_names=("svc",),
    categories=("all",),
    subresources=(
        Subresource(name="proxy", verbs=("create", "delete", "get", "patch", "update"), kind="ServiceProxyOptions"),
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_service_status),
    ),
    definition="io.k8s.api.core.v1.Service",
    columns=networks_columns.SERVICE,
    selectable_fields=selectable.SERVICE,
    default=networks.default_service,
    validate=services_validation.validate_service,
    revalidate=services_validation.revalidate_service,
    prepare_create=prepare_service,
    prepare_update=prepare_service_update,
    warnings=networks_warnings.service_warnings,
)

RESOURCES = (
    BINDING,
    COMPONENT_STATUS,
    CONFIG_MAP,
    ENDPOINTS,
    EVENT,
    LIMIT_RANGE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    PERSISTENT_VOLUME,
    POD,
    POD_TEMPLATE,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE_ACCOUNT,
    SERVICE,
)
