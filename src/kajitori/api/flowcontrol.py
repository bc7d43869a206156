"""The kinds of flowcontrol.apiserver.k8s.io."""

from kajitori.api.columns import extensions as extensions_columns
from kajitori.api.defaults import extensions
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import flow_control as flow_validation
from kajitori.api.validation import statuses

FLOW_SCHEMA = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="FlowSchema",
    plural="flowschemas",
    namespaced=False,
    subresources=(
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_flow_status),
    ),
    definition="io.k8s.api.flowcontrol.v1.FlowSchema",
    columns=extensions_columns.FLOW_SCHEMA,
    row_order=extensions_columns.by_precedence,
    default=extensions.default_flow_schema,
    validate=flow_validation.validate_flow_schema,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
    counts_generation=True,
)

PRIORITY_LEVEL_CONFIGURATION = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    subresources=(
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_flow_status),
    ),
    definition="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    columns=extensions_columns.PRIORITY_LEVEL,
    default=extensions.default_priority_level,
    validate=flow_validation.validate_priority_level,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
    counts_generation=True,
)

RESOURCES = (
    FLOW_SCHEMA,
    PRIORITY_LEVEL_CONFIGURATION,
)
