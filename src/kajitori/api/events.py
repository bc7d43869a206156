"""The kinds of events.k8s.io."""

from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.resource import Resource

EVENT = Resource(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    plural="events",
    short_names=("ev",),
    definition="io.k8s.api.events.v1.Event",
    columns=cluster_columns.EVENT,
)

RESOURCES = (EVENT,)
