"""The kinds of node.k8s.io."""

from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.resource import Resource

RUNTIME_CLASS = Resource(
    group="node.k8s.io",
    version="v1",
    kind="RuntimeClass",
    plural="runtimeclasses",
    namespaced=False,
    definition="io.k8s.api.node.v1.RuntimeClass",
    columns=cluster_columns.RUNTIME_CLASS,
)

RESOURCES = (RUNTIME_CLASS,)
