"""The kinds of events.k8s.io."""

from kajitori.api import core, selectable
from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.conversions.events import from_core, to_core
from kajitori.api.resource import Resource
from kajitori.api.validation import events as events_validation

EVENT = Resource(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    plural="events",
    short_names=("ev",),
    definition="io.k8s.api.events.v1.Event",
    columns=cluster_columns.EVENT,
    stored_field_names=selectable.EVENT_OF_EVENTS,
    validate=events_validation.validate_new_event,
    revalidate=events_validation.revalidate_new_event,
    stored_as=core.EVENT,
    to_stored=to_core,
    from_stored=from_core,
)

RESOURCES = (EVENT,)
