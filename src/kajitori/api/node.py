"""The kinds of node.k8s.io."""

from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.resource import Resource
from kajitori.api.validation import scaling as scaling_validation
from kajitori.api.warnings import placement as placement_warnings

RUNTIME_CLASS = Resource(
    group="node.k8s.io",
    version="v1",
    kind="RuntimeClass",
    plural="runtimeclasses",
    namespaced=False,
    definition="io.k8s.api.node.v1.RuntimeClass",
    columns=cluster_columns.RUNTIME_CLASS,
    validate=scaling_validation.validate_runtime_class,
    validate_update=scaling_validation.validate_runtime_class_update,
    warnings=placement_warnings.runtime_class_warnings,
)

RESOURCES = (RUNTIME_CLASS,)
