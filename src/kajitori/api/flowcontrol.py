"""The kinds of flowcontrol.apiserver.k8s.io."""

from kajitori.api.resource import Resource, Subresource

FLOW_SCHEMA = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="FlowSchema",
    plural="flowschemas",
    namespaced=False,
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.flowcontrol.v1.FlowSchema",
)

PRIORITY_LEVEL_CONFIGURATION = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
)

RESOURCES = (
    FLOW_SCHEMA,
    PRIORITY_LEVEL_CONFIGURATION,
)
