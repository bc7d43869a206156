"""The kinds of scheduling.k8s.io."""

from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.defaults import cluster
from kajitori.api.defaults.generation import begin_at_one
from kajitori.api.resource import Resource
from kajitori.api.validation import scaling as scaling_validation

PRIORITY_CLASS = Resource(
    group="scheduling.k8s.io",
    version="v1",
    kind="PriorityClass",
    plural="priorityclasses",
    namespaced=False,
    short_names=("pc",),
    definition="io.k8s.api.scheduling.v1.PriorityClass",
    columns=cluster_columns.PRIORITY_CLASS,
    default=cluster.default_priority_class,
    validate=scaling_validation.validate_priority_class,
    revalidate=scaling_validation.validate_priority_class_update,
    prepare_create=begin_at_one,
)

RESOURCES = (PRIORITY_CLASS,)
