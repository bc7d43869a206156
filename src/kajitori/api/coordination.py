"""The kinds of coordination.k8s.io."""

from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.defaults import cluster
from kajitori.api.resource import Resource
from kajitori.api.validation import configuration as configuration_validation

LEASE = Resource(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    definition="io.k8s.api.coordination.v1.Lease",
    columns=cluster_columns.LEASE,
    default=cluster.default_lease,
    validate=configuration_validation.validate_lease,
)

RESOURCES = (LEASE,)
