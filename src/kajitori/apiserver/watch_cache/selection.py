"""Which objects a list or a watch is about."""

from dataclasses import dataclass

from kajitori.api.selectors import EVERYTHING, FieldSelector, LabelSelector
from kajitori.apiserver.watch_cache.entry import ADDED, DELETED, MODIFIED, CachedEvent, Entry

Trigger = tuple[str, str]
"""A field and the value it must have."""

TRIGGER_FIELDS = ("metadata.name", "spec.nodeName", "metadata.namespace")
"""By which watchers are found, the narrowest first."""


ALL_FIELDS = FieldSelector()


@dataclass(frozen=True, slots=True)
class Selection:
    """`namespace` "" is all of them."""

    namespace: str = ""
    name: str = ""
    labels: LabelSelector = EVERYTHING
    fields: FieldSelector = ALL_FIELDS

    @property
    def has_selector(self) -> bool:
        return bool(self.name) or not self.labels.empty or not self.fields.empty

    def matches(self, entry: Entry) -> bool:
        if self.namespace and entry.namespace != self.namespace:
            return False
        if self.name and entry.name != self.name:
            return False
        if not self.labels.empty and not self.labels.matches(entry.labels):
            return False
        return self.fields.empty or self.fields.matches(entry.fields)

    def classify(self, event: CachedEvent) -> str | None:
        """The event's type as this selection sees it: entering is ADDED, leaving is DELETED; None: not concerned."""
        is_in = event.entry is not None and self.matches(event.entry)
        was_in = event.previous is not None and self.matches(event.previous)
        if is_in:
            return MODIFIED if was_in else ADDED
        return DELETED if was_in else None

    def trigger(self) -> Trigger | None:
        """The one field value without which no event concerns this selection."""
        values = {"metadata.name": self.name, "metadata.namespace": self.namespace}
        for field in TRIGGER_FIELDS:
            value = values.get(field) or self.fields.required(field)
            if value is not None and value != "":
                return (field, value)
        return None
