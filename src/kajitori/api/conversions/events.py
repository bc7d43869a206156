"""events.k8s.io/v1 Event over the stored core/v1 Event: the same facts under other names."""

from kajitori.api.meta import Object

# core/v1 -> events.k8s.io/v1
_RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_RENAMED_BACK = {new: old for old, new in _RENAMED.items()}

_ALWAYS: Object = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
_OPTIONAL_TEXTS = ("note", "reportingController", "reportingInstance")


def from_core(event: Object) -> Object:
    converted = {_RENAMED.get(key, key): value for key, value in event.items()}
    for field in _OPTIONAL_TEXTS:
        if converted.get(field) == "":
            del converted[field]
    return converted | {"apiVersion": "events.k8s.io/v1"}


def to_core(event: Object) -> Object:
    converted = {_RENAMED_BACK.get(key, key): value for key, value in event.items()}
    for field, value in _ALWAYS.items():
        if converted.get(field) is None:
            converted[field] = {} if value == {} else value
    return converted | {"apiVersion": "v1"}
